"""`shoal init`: make a git repository one of git-annex's."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser, add_json
from shoal.cli.context import HOOK_COMMANDS, Context
from shoal.cli.output import Subject
from shoal.errors import ShoalError

_VERSION = "10"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("words", metavar="DESC", nargs="*")
    parser.add_argument("--version", metavar="VALUE", help=f"repository version: {_VERSION}")
    parser.add_argument(
        "--no-autoenable", action="store_true", help="do not enable special remotes"
    )
    add_json(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.git.init import initialise
    from shoal.git.lockdownhook import install as install_lockdown

    if args.version is not None and args.version != _VERSION:
        raise ShoalError(
            f"option --version: {args.version} is not a currently supported repository version"
        )
    repository = context.found_repository
    description = " ".join(args.words)
    changes = bool(description) or not repository.is_initialised
    with context.out.item(Subject(text=description), given=args.words):
        for warning in initialise(repository, description or None, own_commands=HOOK_COMMANDS):
            context.out.warning(warning)
        for line in install_lockdown(repository):
            context.out.warning(line)
    if changes:
        context.out.note("recording state in git...")
    return context.out.exit_code

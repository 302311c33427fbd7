"""`shoal describe`: change the description of a repository."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.errors import ShoalError


def add_arguments(parser: Parser) -> None:
    parser.add_argument("words", metavar="REPOSITORY DESC", nargs="*")


def run(args: argparse.Namespace, context: Context) -> int:
    if len(args.words) < 2:
        raise ShoalError("Specify a repository and a description.")
    name, *words = args.words
    uuid = context.session.uuid_of(name)
    with context.out.item(Subject(text=name), given=args.words):
        context.repository.logs.set_description(uuid, " ".join(words))
    return context.out.exit_code

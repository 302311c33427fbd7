"""`shoal group` and `shoal ungroup`: which groups repositories are in."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.errors import ShoalError

_WORDS = "Specify a repository and a group."


def add_arguments(parser: Parser) -> None:
    parser.add_argument("words", metavar="REPOSITORY GROUP", nargs="*")
    if parser.command == "group":
        parser.add_argument("--list", action="store_true", help="list all groups")


def run(args: argparse.Namespace, context: Context) -> int:
    logs = context.repository.logs
    if context.command == "group" and args.list:
        if args.words:
            raise ShoalError("Cannot combine --list with other options")
        context.announces_commit = False
        context.out.line(" ".join(sorted(set().union(*logs.groups().values()))))
        return 0
    if context.command == "group" and len(args.words) == 1:
        context.announces_commit = False
        uuid = context.session.uuid_of(args.words[0])
        context.out.line(" ".join(sorted(logs.groups().get(uuid, ()))))
        return 0
    if len(args.words) != 2:
        raise ShoalError(_WORDS)
    return _change(args.words[0], args.words[1], context)


def _change(name: str, group: str, context: Context) -> int:
    uuid = context.session.uuid_of(name)
    logs = context.repository.logs
    with context.out.item(Subject(text=name), given=[name, group]):
        groups = logs.groups().get(uuid, frozenset())
        named = frozenset([group])
        changed = groups | named if context.command == "group" else groups - named
        try:
            logs.set_groups(uuid, changed)
        except ValueError as error:
            raise ShoalError(f"{error}: `{group}'") from error
    return context.out.exit_code

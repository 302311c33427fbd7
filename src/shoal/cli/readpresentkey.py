"""`shoal readpresentkey`: whether the location log knows a key to be somewhere."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.selection import parse_key
from shoal.errors import ShoalError
from shoal.values.uuid import UUID


def add_arguments(parser: Parser) -> None:
    parser.add_argument("words", metavar="KEY UUID", nargs="*")


def run(args: argparse.Namespace, context: Context) -> int:
    repository = context.repository
    if len(args.words) != 2:
        raise ShoalError("Wrong number of parameters")
    key, uuid = parse_key(args.words[0]), UUID(args.words[1])
    return 0 if uuid in repository.logs.locations(key) else 1

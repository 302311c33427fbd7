"""`shoal setpresentkey`: change what the location log says of a key."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser, add_json
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.cli.selection import add_batch, parse_key, read_batch
from shoal.errors import ShoalError
from shoal.values.uuid import parse_uuid

_EXPECTED = "Bad input. Expected: key uuid value"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("words", metavar="KEY UUID [1|0]", nargs="*")
    add_batch(parser)
    add_json(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    context.commits = False  # as the real one: it may be run very often
    if not args.batch:
        _change(args.words, context)
        return context.out.exit_code
    for line in read_batch(args.z):
        try:
            _change(line.split(" "), context)
        except ShoalError as error:
            raise ShoalError(f"Batch input parse failure: {error}") from error
    return context.out.exit_code


def _change(words: list[str], context: Context) -> None:
    if len(words) != 3:
        raise ShoalError(_EXPECTED)
    key = parse_key(words[0])
    if words[2] not in ("0", "1"):
        raise ShoalError("bad value")
    try:
        uuid = parse_uuid(words[1])
    except ValueError as error:
        raise ShoalError(_EXPECTED) from error
    with context.out.item(Subject(key=key), given=words):
        context.repository.logs.set_location(key, uuid, words[2] == "1")

"""`shoal maxsize`: the most that repositories should hold, and how full they are."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser, add_json
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.errors import ShoalError
from shoal.values.humansize import exact_size, rough_size
from shoal.values.size import parse_size

if TYPE_CHECKING:
    from shoal.annex.repositories import SizeOf
    from shoal.values.uuid import UUID

_FULL = 100


def add_arguments(parser: Parser) -> None:
    parser.add_argument("words", metavar="REPOSITORY SIZE", nargs="*")
    parser.add_argument("--bytes", action="store_true", help="display sizes in bytes")
    add_json(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    if len(args.words) > 2:
        raise ShoalError("Too many parameters")
    if not args.words:
        return _overview(context, in_bytes=args.bytes)
    uuid = context.session.uuid_of(args.words[0])
    if len(args.words) == 1:
        return _show(uuid, args, context)
    with context.out.item(Subject(text=args.words[0]), given=args.words):
        try:
            size = parse_size(args.words[1])
        except ValueError as error:
            raise ShoalError("Unable to parse size.") from error
        context.repository.logs.set_max_size(uuid, size)
    return context.out.exit_code


def _show(uuid: UUID, args: argparse.Namespace, context: Context) -> int:
    limit = context.repository.logs.max_sizes().get(uuid)
    if context.out.json:
        context.out.record(
            {
                "command": context.command,
                "error-messages": [],
                "input": args.words,
                "maxsize": limit,
                "success": True,
            }
        )
    elif limit is None:
        context.out.line()
    else:
        context.out.line(str(limit) if args.bytes else exact_size(limit))
    return 0


def _overview(context: Context, *, in_bytes: bool) -> int:
    from shoal.annex.repositories import size_overview

    found, names = size_overview(context.session), context.session.names
    if context.out.json:
        context.out.record(
            {
                "command": context.command,
                "error-messages": [],
                "input": [],
                "repositories": [
                    {
                        "description": names.in_json(one.repository),
                        "here": one.repository == context.session.here,
                        "size": {"maxsize": one.max_size, "size": one.size},
                        "uuid": one.repository,
                    }
                    for one in found
                ],
                "success": True,
            }
        )
        return 0
    context.out.line("   size maxsize  %full  repository")
    for one in found:
        context.out.line(f"{_columns(one, in_bytes)}  {names.line(one.repository)}")
    return 0


def _columns(one: SizeOf, in_bytes: bool) -> str:
    def show(size: int) -> str:
        return str(size) if in_bytes else rough_size(size, decimals=0)

    limit = "" if one.max_size is None else show(one.max_size)
    return f"{show(one.size):>7} {limit:>7} {_percent(one):>6}"


def _percent(one: SizeOf) -> str:
    """Give how full a repository is, in whole percent, or `>100%`."""
    if one.max_size is None:
        return ""
    if one.size > one.max_size:
        return ">100%"
    return f"{round(_FULL * one.size / one.max_size) if one.max_size else _FULL}%"

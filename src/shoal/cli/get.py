"""`shoal get`: get the content of annexed files."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser, add_jobs, add_json
from shoal.cli.context import Context
from shoal.cli.selection import add_selection


def add_arguments(parser: Parser) -> None:
    add_selection(parser)
    parser.add_argument("-f", "--from", dest="source", metavar="REMOTE", help="source remote")
    parser.add_argument("-a", "--auto", action="store_true", help="automatic mode")
    parser.add_argument("-w", "--wanted", action="store_true", help="only preferred content")
    add_jobs(parser)
    add_json(parser, progress=True)


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.annex.getting import Getting
    from shoal.cli.acting import remote_of, run_action

    source = None if args.source is None else remote_of(context, args.source)
    return run_action(
        args,
        context,
        lambda network: Getting(network, source, auto=args.auto, wanted=args.wanted),
    )

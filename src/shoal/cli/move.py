"""`shoal move`: move the content of files to or from another repository."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser, add_jobs, add_json
from shoal.cli.context import Context
from shoal.cli.selection import add_selection
from shoal.errors import ShoalError


def add_arguments(parser: Parser) -> None:
    add_selection(parser)
    parser.add_argument("-f", "--from", dest="source", metavar="REMOTE", help="source remote")
    parser.add_argument("-t", "--to", dest="target", metavar="REMOTE", help="destination remote")
    add_jobs(parser)
    add_json(parser, progress=True)


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.annex.moving import Moving
    from shoal.cli.acting import remote_of, run_action

    if args.source is None and args.target is None:
        raise ShoalError("Specify --from or --to")
    source = None if args.source is None else remote_of(context, args.source)
    target = None if args.target is None else remote_of(context, args.target)
    settings = context.settings
    return run_action(
        args,
        context,
        lambda network: Moving(network, source, target, force=settings.force, fast=settings.fast),
    )

"""`shoal copy`: copy the content of files to or from another repository."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser, add_jobs, add_json
from shoal.cli.context import Context
from shoal.cli.selection import add_selection
from shoal.errors import ShoalError

if TYPE_CHECKING:
    from shoal.annex.network import Network
    from shoal.cli.acting import Action


def add_arguments(parser: Parser) -> None:
    add_selection(parser)
    parser.add_argument("-f", "--from", dest="source", metavar="REMOTE", help="source remote")
    parser.add_argument("-t", "--to", dest="target", metavar="REMOTE", help="destination remote")
    parser.add_argument("--from-anywhere", action="store_true", help="from any remote")
    parser.add_argument("-a", "--auto", action="store_true", help="automatic mode")
    parser.add_argument("-w", "--wanted", action="store_true", help="only preferred content")
    add_jobs(parser)
    add_json(parser, progress=True)


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.annex.copying import Copying
    from shoal.annex.getting import Getting
    from shoal.cli.acting import remote_of, run_action

    if args.source is None and args.target is None:
        raise ShoalError("Specify --from or --to")
    wanted = {"auto": args.auto, "wanted": args.wanted}
    if args.source is None and args.target in ("here", ".") and not args.from_anywhere:
        return run_action(args, context, lambda network: Getting(network, **wanted))
    source = None if args.source is None else remote_of(context, args.source)
    target = None if args.target is None else remote_of(context, args.target)

    def make(network: Network) -> Action:
        if target is None:
            return Getting(network, source, **wanted)
        fast, anywhere = context.settings.fast, args.from_anywhere
        return Copying(network, target, source, anywhere=anywhere, fast=fast, **wanted)

    return run_action(args, context, make)

"""`shoal smudge` and `shoal filter-process`: git's filter for annexed files."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.errors import ShoalError

_WAYS = "(FILE [--clean] | --update)"


def add_arguments(parser: Parser) -> None:
    if parser.command == "smudge":
        parser.add_argument("file", metavar="FILE", nargs="?")
        parser.add_argument("--clean", action="store_true", help="clean filter")
        parser.add_argument("--update", action="store_true", help="populate annexed files")


def run(args: argparse.Namespace, context: Context) -> int:
    # git may hold its index while it filters, and a commit of the branch can wait.
    context.commits = False
    if context.command == "filter-process":
        return _serve(context)
    if args.update:
        return _update(context)
    if args.file is None:
        raise ShoalError(f"Missing: {_WAYS}")
    return _clean(args.file, context) if args.clean else _smudge(args.file, context)


def _serve(context: Context) -> int:
    from shoal.git.filterprocess import serve
    from shoal.git.smudge import Smudger

    with closing(Smudger(context.repository)) as smudger:
        serve(smudger, sys.stdin.buffer, sys.stdout.buffer, context.out.complain)
    return 0


def _update(context: Context) -> int:
    from shoal.git.smudge import update

    update(context.repository)
    return 0


def _clean(file: str, context: Context) -> int:
    from shoal.git.smudge import Smudger, clean_stream

    source, target = sys.stdin.buffer, sys.stdout.buffer
    with closing(Smudger(context.repository)) as smudger:
        clean_stream(smudger, file, source, target, context.out.complain)
    _drain()
    return 0


def _smudge(file: str, context: Context) -> int:
    from shoal.git.smudge import Smudger, smudge_stream

    with closing(Smudger(context.repository)) as smudger:
        smudge_stream(smudger, file, sys.stdin.buffer, sys.stdout.buffer)
    return 0


def _drain() -> None:
    """Read what git still sends: else it fails to write."""
    while sys.stdin.buffer.read(1 << 20):
        pass

"""`shoal version`: what this program is and which formats it knows."""

from __future__ import annotations

import argparse
import os

import shoal
from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.errors import NotARepository


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--raw", action="store_true", help="output only program version")


def run(args: argparse.Namespace, context: Context) -> int:
    context.commits = False  # it only reads
    if args.raw:
        context.out.line(shoal.__version__, end="")
        return 0
    from shoal.git.repository import VERSION
    from shoal.values.backend import BACKENDS

    context.out.line(f"shoal version: {shoal.__version__}")
    context.out.line(f"key/value backends: {' '.join(map(os.fsdecode, BACKENDS))}")
    context.out.line("remote types: git")
    system = os.uname()
    context.out.line(f"operating system: {system.sysname.lower()} {system.machine}")
    context.out.line(f"supported repository versions: {VERSION}")
    if (local := _local_version(context)) is not None:
        context.out.line(f"local repository version: {local}")
    return 0


def _local_version(context: Context) -> str | None:
    try:
        return context.found_repository.config.get("annex.version")
    except NotARepository:
        return None

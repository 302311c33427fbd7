"""`shoal version`: what this program is and which formats it knows."""

from __future__ import annotations

import argparse

import shoal
from shoal.cli.arguments import Parser
from shoal.cli.context import Context


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--raw", action="store_true", help="output only program version")


def run(args: argparse.Namespace, context: Context) -> int:
    if args.raw:
        context.out.line(shoal.__version__, end="")
        return 0
    context.out.line(f"shoal version: {shoal.__version__}")
    context.out.line("supported repository versions: 10")
    return 0

"""`shoal initcluster`: make this repository the gateway of a new cluster."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.errors import ShoalError


def add_arguments(parser: Parser) -> None:
    parser.add_argument("words", metavar="NAME DESC", nargs="*")


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.gateway.setup import init_cluster

    repository = context.repository
    if not args.words:
        raise ShoalError("Expected two parameters, name and description.")
    name, *words = args.words
    with context.out.item(Subject(text=name), given=args.words):
        init_cluster(repository, name, " ".join(words) or None)
    return context.out.exit_code

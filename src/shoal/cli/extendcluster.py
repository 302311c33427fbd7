"""`shoal extendcluster`: make this repository one more gateway of a cluster."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.cli.updatecluster import show
from shoal.errors import ShoalError


def add_arguments(parser: Parser) -> None:
    parser.add_argument("words", metavar="GATEWAY CLUSTERNAME", nargs="*")


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.gateway.setup import extend_cluster, update_cluster

    if len(args.words) != 2:
        raise ShoalError("Expected two parameters, gateway and clustername.")
    gateway, name = args.words
    extend_cluster(context.repository, gateway, name)
    with context.out.item(Subject(text=name), given=args.words):
        pass
    show(update_cluster(context.repository), context)
    return context.out.exit_code

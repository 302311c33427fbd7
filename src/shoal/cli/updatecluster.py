"""`shoal updatecluster` and `shoal updateproxy`: publish what a gateway serves."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.errors import ShoalError

if TYPE_CHECKING:
    from shoal.gateway.setup import Report


def add_arguments(parser: Parser) -> None:
    parser.add_argument("words", metavar="", nargs="*", help=argparse.SUPPRESS)


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.gateway.setup import update_cluster, update_proxy
    from shoal.git.lockdownhook import install as install_lockdown

    if args.words:
        raise ShoalError("This command takes no parameters.")
    update = update_cluster if context.command == "updatecluster" else update_proxy
    show(update(context.repository), context)
    for line in install_lockdown(context.repository):
        context.out.line(line)
    return 0


def show(report: Report, context: Context) -> None:
    """Print what was done."""
    for warning in report.warnings:
        context.out.warning(warning)
    for line in report.lines:
        context.out.line(line)
    context.announces_commit = False

"""`shoal cluster`: operate a cluster. Each subcommand has a module of its own.

main.py finds the subcommand here, so that only its module is imported.
"""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.errors import UsageError

# (subcommand, module of shoal.cli, what it does), in the order of the help.
SUBCOMMANDS: tuple[tuple[str, str, str], ...] = (
    ("drain", "cluster_drain", "empty a node before it leaves the cluster"),
    ("explain", "cluster_explain", "tell why a key is where it is, and where it would go"),
    ("heal", "cluster_heal", "bring each key back to enough copies, and to where it is wanted"),
    ("rebalance", "cluster_rebalance", "bring each key to the nodes that it belongs on"),
    ("scrub", "cluster_scrub", "verify what the nodes have, and put right what is wrong"),
    ("status", "cluster_status", "show nodes, how full they are, and keys with a problem"),
)


def add_arguments(parser: Parser) -> None:
    lines = "".join(f"\n  {name:<16}{text}" for name, _, text in SUBCOMMANDS)
    parser.description = f"operate a cluster\n\nCommands:\n{lines}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = "shoal cluster COMMAND\n"
    parser.add_argument("words", metavar="COMMAND", nargs="*", help=argparse.SUPPRESS)


def run(args: argparse.Namespace, context: Context) -> int:
    """List the subcommands, or say that there is no such one."""
    parser = Parser(context.command, "")
    add_arguments(parser)
    usage = f"{parser.format_usage()}\n{parser.description}"
    if args.words:
        raise UsageError(f"Invalid argument `{args.words[0]}'\n\n{usage}")
    context.out.line(f"{usage}\n\nFor the options of one: shoal cluster COMMAND --help")
    return 0

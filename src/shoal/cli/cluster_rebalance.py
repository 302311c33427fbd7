"""`shoal cluster rebalance`: bring each key to the nodes that it belongs on."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser
from shoal.cli.clusterwork import add_cluster, add_plan, work_towards
from shoal.cli.context import Context
from shoal.cli.patiently import run_patiently


def add_arguments(parser: Parser) -> None:
    add_cluster(parser)
    add_plan(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    return run_patiently(work_towards("rebalance", args, context))

"""`shoal cluster rebalance`: bring each key to the nodes that it belongs on."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser
from shoal.cli.clusterwork import add_plan
from shoal.cli.context import Context
from shoal.cli.patiently import run_patiently


def add_arguments(parser: Parser) -> None:
    parser.add_argument("cluster", metavar="CLUSTER", nargs="?", help="by default the only one")
    add_plan(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    return run_patiently(_run(args, context))


async def _run(args: argparse.Namespace, context: Context) -> int:
    from shoal.cli.clusterwork import opened, work_on
    from shoal.operations.choosing import choose_cluster
    from shoal.operations.operation import Operation
    from shoal.operations.plan import Goal

    cluster = choose_cluster(context.session, args.cluster)
    async with opened(context, cluster) as (fleet, up):
        return await work_on(args, context, Operation(fleet, cluster, up, Goal.REBALANCE))

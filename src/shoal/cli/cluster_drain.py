"""`shoal cluster drain`: empty a node before it leaves its cluster."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser
from shoal.cli.clusterwork import add_plan, count, node_called
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.cli.patiently import run_patiently
from shoal.remotes.settings import Kind

if TYPE_CHECKING:
    from shoal.operations.choosing import Cluster
    from shoal.operations.drain import Left
    from shoal.values.uuid import UUID

_NEXT = """\
{node} is empty. To take it out of the cluster:
  git config --unset remote.{node}.annex-cluster-node
  shoal updatecluster
  shoal dead {node}
To keep it instead:
  shoal cluster drain {node} --undo"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("node", metavar="NODE", help="the node that leaves")
    parser.add_argument("--cluster", metavar="NAME", help="by default the only one")
    parser.add_argument(
        "--undo", action="store_true", help="let the node stay, as it was configured before"
    )
    add_plan(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.operations.choosing import choose_cluster
    from shoal.operations.drain import check_may_drain, unmark

    session = context.session
    cluster = choose_cluster(session, args.cluster)
    node = node_called(context, cluster, args.node)
    if args.undo:
        with context.out.item(Subject(text=args.node), given=[args.node]) as item:
            unmark(session.logs, node, args.node)
            item.note("stays, as it was configured before")
        return context.out.exit_code
    check_may_drain(session, node, args.node)
    return run_patiently(_drain(args, context, cluster, node))


async def _drain(args: argparse.Namespace, context: Context, cluster: Cluster, node: UUID) -> int:
    from shoal.cli.clusterwork import opened, work_on
    from shoal.operations.drain import mark, what_is_left
    from shoal.operations.operation import Operation
    from shoal.operations.plan import Goal
    from shoal.operations.replan import Planner

    async with opened(context, cluster) as (fleet, attendance):
        planner = Planner(fleet, cluster, attendance, Goal.DRAIN, frozenset({node}))
        begun = []

        def begin() -> None:
            mark(fleet.session.logs, node)
            begun.append(node)

        code = await work_on(args, context, Operation(planner), begin)
        if not begun:
            return code
        settings = fleet.settings_of(node)
        path = settings.location if settings.kind is Kind.PATH else None
        left = await asyncio.to_thread(what_is_left, fleet.session, node, path)
    return max(code, _report(context, left, cluster.names[node]))


def _report(context: Context, left: Left, name: str) -> int:
    """Say whether the node is empty, and what to do next; give the exit code."""
    if context.out.json:
        context.out.record(
            {
                "command": context.command,
                "node": name,
                "keys-left": left.logged,
                "objects-not-logged": left.unlogged,
                "examples": [str(key) for key in left.examples],
                "empty": left.is_empty,
            }
        )
    if not left.is_empty:
        has = [count(left.logged, "key")] if left.logged else []
        has += [f"{count(left.unlogged, 'object')} that no log names"] if left.unlogged else []
        context.out.warning(f"{name} still has {' and '.join(has)}, such as {left.examples[0]}")
        if left.unlogged:
            context.out.warning(f"To have them recorded, run in {name}: git annex fsck --all")
        return 1
    if not (context.out.json or context.settings.quiet):
        context.out.line(_NEXT.format(node=name))
    return 0

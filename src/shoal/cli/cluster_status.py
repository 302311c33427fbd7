"""`shoal cluster status`: its nodes, how full they are, and what is wrong with keys."""

from __future__ import annotations

import argparse
import asyncio
import textwrap
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser, add_json, number
from shoal.cli.clusterwork import add_cluster
from shoal.cli.context import Context
from shoal.cli.patiently import run_patiently
from shoal.values.humansize import rough_size

if TYPE_CHECKING:
    from shoal.annex.jsonvalue import JSON
    from shoal.operations.choosing import Cluster
    from shoal.operations.probing import Health
    from shoal.operations.status import ClusterStatus, NodeStatus
    from shoal.operations.survey import Finding, Totals
    from shoal.preferred.finding import Finding as Warned
    from shoal.values.uuid import UUID

_EXAMPLES = 3
_FULL = 100  # percent
_WIDTH = 80  # columns
_MEANING = {
    "lost": "no copy is known anywhere",
    "unreachable": "no copy can be reached now",
    "under-replicated": "fewer copies than numcopies",
    "over-replicated": "more copies than needed, some not wanted",
    "misplaced": "not where they belong; see shoal cluster rebalance",
}


def add_arguments(parser: Parser) -> None:
    add_cluster(parser)
    parser.add_argument(
        "--limit", metavar="N", type=number, default=_EXAMPLES,
        help=f"show up to N examples of keys with a problem (default {_EXAMPLES})",
    )  # fmt: skip
    parser.add_argument("--bytes", action="store_true", help="display sizes in bytes")
    add_json(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    return run_patiently(_run(args, context))


async def _run(args: argparse.Namespace, context: Context) -> int:
    from shoal.operations.choosing import choose_cluster
    from shoal.operations.fleet import Fleet
    from shoal.operations.probing import look_around

    cluster = choose_cluster(context.session, args.cluster)
    async with Fleet(context.new_session, cluster.remotes) as fleet:
        health = await look_around(fleet, cluster.nodes)
        status = await asyncio.to_thread(_look, args, context, cluster, health)
        if context.out.json:
            context.out.record(_record(args, context, status))
        else:
            _show(context, status, in_bytes=args.bytes)
        context.out.flush()
    return 0


def _look(
    args: argparse.Namespace, context: Context, cluster: Cluster, health: dict[UUID, Health]
) -> ClusterStatus:
    """Look at the cluster and, unless it should be fast, at all keys."""
    from shoal.operations.probing import up
    from shoal.operations.status import status_of
    from shoal.operations.survey import inspect
    from shoal.operations.world import ClusterWorld

    session = context.session
    totals = None
    if not context.settings.fast:
        world = ClusterWorld(session, cluster, up(health))
        totals = inspect(session, world, examples=args.limit)
    return status_of(session, cluster, health, totals)


def _show(context: Context, status: ClusterStatus, *, in_bytes: bool) -> None:
    line = context.out.line

    def show(size: int) -> str:
        return str(size) if in_bytes else rough_size(size, decimals=0)

    line(f"cluster {status.cluster.name} ({status.cluster.uuid})")
    line(f"nodes: {len(status.nodes)}, {status.up} up")
    line(f"copies: {status.numcopies} wanted, never fewer than {status.mincopies}")
    if not status.nodes:
        line("\nIt has no nodes yet: set remote.NAME.annex-cluster-node, then shoal updatecluster")
    else:
        line("\nstate      size maxsize  %full    keys  node")
    for node in status.nodes:
        limit = "" if node.max_size is None else show(node.max_size)
        keys = "" if node.keys is None else str(node.keys)
        numbers = f"{show(node.live_size):>7} {limit:>7} {_percent(node):>6} {keys:>7}"
        line(f"{node.health.state.value:<7} {numbers}  {_about(node)}")
        if node.health.why:
            line(f"        {node.health.why}")
    if status.totals is not None:
        _show_keys(context, status.totals, show(status.totals.size))
    if status.warnings:
        line("\nwarnings:")
    for warning in status.warnings:
        line(textwrap.fill(warning.text, _WIDTH, initial_indent="  ", subsequent_indent="    "))


def _show_keys(context: Context, totals: Totals, size: str) -> None:
    from shoal.operations.survey import Finding

    line = context.out.line
    unknown = f", {totals.unknown_sizes} of unknown size" if totals.unknown_sizes else ""
    line(f"\nkeys: {totals.keys}, {size}{unknown}")
    for finding in Finding:
        count = totals.found[finding]
        meaning = f"  {_MEANING[finding.value]}" if count else ""
        line(f"{count:>9} {finding.value}{meaning}")
        for example in totals.examples.get(finding, ()):
            line(f"    {example.key}\n      {example.why}")


def _about(node: NodeStatus) -> str:
    """Give a node's name, trust and groups, and whether it is being drained."""
    words = [] if node.trust.name == "SEMITRUSTED" else [node.trust.name.lower()]
    words += ["draining"] if node.is_draining else []
    words += node.groups
    return f"{node.name} ({', '.join(words)})" if words else node.name


def _percent(node: NodeStatus) -> str:
    """Give how full a node is, in whole percent, or `>100%`."""
    if not node.max_size:
        return ""
    if node.live_size > node.max_size:
        return ">100%"
    return f"{round(_FULL * node.live_size / node.max_size)}%"


def _record(args: argparse.Namespace, context: Context, status: ClusterStatus) -> dict[str, JSON]:
    return {
        "command": context.command,
        "error-messages": [],
        "input": [] if args.cluster is None else [args.cluster],
        "success": True,
        "name": status.cluster.name,
        "uuid": status.cluster.uuid,
        "description": status.description,
        "gateway": status.cluster.is_here,
        "numcopies": status.numcopies,
        "mincopies": status.mincopies,
        "nodes": [_node_record(node) for node in status.nodes],
        "keys": None if status.totals is None else _keys_record(status.totals),
        "warnings": [_warning_record(warning) for warning in status.warnings],
    }


def _node_record(node: NodeStatus) -> dict[str, JSON]:
    return {
        "uuid": node.uuid,
        "name": node.name,
        "description": node.description,
        "state": node.health.state.value,
        "why": node.health.why,
        "cost": node.cost,
        "size": node.size,
        "live-size": node.live_size,
        "maxsize": node.max_size,
        "keys": node.keys,
        "trust": node.trust.name.lower(),
        "groups": list(node.groups),
        "wanted": node.wanted,
        "required": node.required,
        "draining": node.is_draining,
    }


def _warning_record(warning: Warned) -> JSON:
    return {
        "kind": warning.kind,
        "text": warning.text,
        "source": warning.source,
        "uuid": warning.repo,
        "group": warning.group,
    }


def _keys_record(totals: Totals) -> dict[str, JSON]:
    from shoal.operations.survey import Finding

    def found(finding: Finding) -> JSON:
        examples = totals.examples.get(finding, ())
        return {
            "count": totals.found[finding],
            "examples": [{"key": str(one.key), "why": one.why} for one in examples],
        }

    return {
        "count": totals.keys,
        "size": totals.size,
        "unknown-size": totals.unknown_sizes,
        **{finding.value: found(finding) for finding in Finding},
    }

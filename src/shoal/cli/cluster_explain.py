"""`shoal cluster explain`: why a key is where it is, and where it would go."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser, add_json
from shoal.cli.context import Context
from shoal.cli.patiently import run_patiently
from shoal.errors import ShoalError

if TYPE_CHECKING:
    from shoal.annex.matching import Candidate
    from shoal.operations.choosing import Cluster
    from shoal.operations.explaining import KeyView
    from shoal.values.uuid import UUID


def add_arguments(parser: Parser) -> None:
    parser.add_argument("what", metavar="KEY | FILE")
    parser.add_argument("cluster", metavar="CLUSTER", nargs="?", help="by default the only one")
    parser.add_argument("--check", action="store_true", help="ask the nodes what they have")
    add_json(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.operations.choosing import choose_cluster

    cluster = choose_cluster(context.session, args.cluster)
    candidate = _candidate(args.what, context)
    if args.check:
        return run_patiently(_run(args, context, cluster, candidate))
    reachable = {one.uuid for one in context.session.settings if one.uuid and not one.ignore}
    _show(args, context, _look(context, cluster, candidate, {*reachable, context.session.here}))
    return 0


async def _run(
    args: argparse.Namespace, context: Context, cluster: Cluster, candidate: Candidate
) -> int:
    """Ask the nodes first."""
    import asyncio

    from shoal.operations.fleet import Fleet
    from shoal.operations.probing import holders, look_around, up

    async with Fleet(context.new_session, cluster.remotes) as fleet:
        health = await look_around(fleet, cluster.nodes)
        answers = await holders(fleet, cluster.nodes, candidate.key)
        view = await asyncio.to_thread(
            _look, context, cluster, candidate, set(up(health)), dict(answers)
        )
        _show(args, context, view)
        context.out.flush()
    return 0


def _candidate(word: str, context: Context) -> Candidate:
    """Give the file that `word` names, or the key. Raises ShoalError when it is neither."""
    from shoal.annex.matching import Candidate
    from shoal.cli.selection import parse_key

    if not context.repository.is_bare:
        file = context.session.work_tree.lookup(word)
        if file is not None:
            return Candidate(file.key, file.path, file.shown, file.locked)
    return Candidate(parse_key(word, f'"{word}" is neither an annexed file nor a key'))


def _look(
    context: Context,
    cluster: Cluster,
    candidate: Candidate,
    up: set[UUID],
    answers: dict[UUID, bool | ShoalError] | None = None,
) -> KeyView:
    from shoal.operations.explaining import view_key
    from shoal.operations.world import ClusterWorld

    world = ClusterWorld(context.session, cluster, up)
    return view_key(context.session, cluster, world, candidate, answers or {})


def _show(args: argparse.Namespace, context: Context, view: KeyView) -> None:
    from shoal.cli.keyview import record_of, text_of

    if context.out.json:
        given = [word for word in (args.what, args.cluster) if word is not None]
        context.out.record(
            {
                "command": context.command,
                "error-messages": [],
                "input": given,
                "success": True,
                **record_of(view, context.session.names),
            }
        )
    else:
        for line in text_of(view, context.session.names):
            context.out.line(line)

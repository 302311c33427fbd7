"""`shoal cluster scrub`: verify what the nodes have, and put right what is wrong."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser, duration
from shoal.cli.clusterwork import add_cluster, add_pace, count, node_called
from shoal.cli.context import Context
from shoal.cli.limits import REACHED
from shoal.cli.patiently import run_patiently
from shoal.values.humansize import rough_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoal.operations.scrub import NodeReport, Scrub
    from shoal.values.uuid import UUID


def add_arguments(parser: Parser) -> None:
    add_cluster(parser)
    parser.add_argument(
        "--node", metavar="NODE", action="append", default=[], help="only this one; may be repeated"
    )
    parser.add_argument("--restart", action="store_true", help="begin with the first key again")
    parser.add_argument(
        "--since", metavar="AGE", type=duration,
        help="only nodes of which not all was verified within this time",
    )  # fmt: skip
    parser.add_argument(
        "--no-heal", dest="heal", action="store_false", help="make no new copies of what is bad"
    )
    add_pace(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    return run_patiently(_run(args, context))


async def _run(args: argparse.Namespace, context: Context) -> int:
    from shoal.cli.clusterwork import Shown, opened, pace_of
    from shoal.operations.choosing import choose_cluster
    from shoal.operations.plan import Goal
    from shoal.operations.replan import Planner
    from shoal.operations.scrub import Scrub, Thoroughness

    cluster = choose_cluster(context.session, args.cluster)
    chosen = [node_called(context, cluster, word) for word in args.node]
    how = Thoroughness(context.settings.fast, args.heal, args.restart, args.since)
    async with opened(context, cluster) as (fleet, attendance):
        pace = pace_of(args, context)
        planner = Planner(fleet, cluster, attendance, Goal.HEAL)

        def watch(report: NodeReport) -> None:
            found = f"{report.bad} bad, {report.missing} missing"
            name = cluster.names[report.node]
            context.out.meter(f"{name}: {_amount(report)}, {found}")

        scrub = Scrub(fleet, planner, Shown(context), pace, how, watch=watch)
        try:
            await scrub.run(chosen or cluster.nodes)
        finally:
            _show(context, scrub, cluster.names)
    return _code(scrub, pace.budget.spent)


def _show(context: Context, scrub: Scrub, names: Mapping[UUID, str]) -> None:
    """Show what was found at each node."""
    for report in scrub.reports.values():
        if context.out.json:
            context.out.record(
                {
                    "command": context.command,
                    "node": {"uuid": report.node, "name": names[report.node]},
                    "keys-checked": report.keys,
                    "bytes-read": report.size,
                    "bad": report.bad,
                    "missing": report.missing,
                    "unreadable": report.unreadable,
                    "healed": report.healed,
                    "complete": report.complete,
                    "skipped": report.skipped,
                    "trouble": report.trouble,
                    "success": report.is_well,
                }
            )
        elif not context.settings.quiet:
            context.out.line(f"{names[report.node]}: {_in_words(report)}")
    if left := sum(report.not_healed for report in scrub.reports.values()):
        context.out.warning(f"{count(left, 'copy')} not replaced. To try again: shoal cluster heal")


def _amount(report: NodeReport) -> str:
    return f"{count(report.keys, 'key')}, {rough_size(report.size)}"


def _in_words(report: NodeReport) -> str:
    if report.skipped:
        return "all was verified not long ago"
    found = [
        f"{number} {what}"
        for number, what in (
            (report.bad, "bad"),
            (report.missing, "missing"),
            (report.unreadable, "unreadable"),
            (report.healed, "healed"),
        )
        if number
    ]
    text = f"{_amount(report)}: {', '.join(found) or 'all well'}"
    if report.trouble:
        return f"{text}; left before the end: {report.trouble}"
    return text if report.complete else f"{text}; not all keys yet, run it again to go on"


def _code(scrub: Scrub, spent: str) -> int:
    if not all(report.is_well for report in scrub.reports.values()):
        return 1
    return REACHED if spent else 0

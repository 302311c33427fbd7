"""What `shoal cluster` rebalance, drain and heal have in common: plan, preview, apply."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser, add_jobs, add_json, duration, jobs
from shoal.cli.limits import REACHED
from shoal.cli.output import Subject
from shoal.errors import ShoalError, UsageError
from shoal.values.humansize import rough_size
from shoal.values.size import parse_size

if TYPE_CHECKING:
    from shoal.annex.jsonvalue import JSON
    from shoal.cli.context import Context
    from shoal.operations.apply import Pace, Step, Tally
    from shoal.operations.attendance import Attendance
    from shoal.operations.choosing import Cluster
    from shoal.operations.fleet import Fleet
    from shoal.operations.operation import Operation
    from shoal.operations.plan import KeyPlan
    from shoal.operations.preview import Preview
    from shoal.operations.probing import Health
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

_SAY_YES = "say --yes to carry this out without a question, or --dry-run to see what it would do"


def add_cluster(parser: Parser) -> None:
    """Add the argument that says which cluster."""
    parser.add_argument("cluster", metavar="CLUSTER", nargs="?", help="by default the only one")


def add_pace(parser: Parser) -> None:
    """Add the options for how fast and how much."""
    add_jobs(parser)
    parser.add_argument(
        "--limit-rate", metavar="SIZE", type=size, help="bytes per second of all transfers"
    )
    parser.add_argument(
        "--max-transfer", metavar="SIZE", type=size, help="end before more is transferred"
    )
    parser.add_argument(
        "--time-limit", metavar="TIME", type=duration, help="begin nothing more after this time"
    )
    add_json(parser, progress=True)


def add_plan(parser: Parser) -> None:
    """Add the options of commands that make plans and carry them out."""
    parser.add_argument(
        "--dry-run", action="store_true", help="only show what would be done, key by key"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do it without a question")
    add_pace(parser)


def size(text: str) -> int:
    """Read a size of at least one byte. Raises argparse's error."""
    try:
        number = parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'"{text}" is not a size (expected eg "10MB")') from error
    if number <= 0:
        raise argparse.ArgumentTypeError("it must be more than 0 bytes")
    return number


def pace_of(args: argparse.Namespace, context: Context) -> Pace:
    """Give how a run goes about it, by the options of add_pace()."""
    from shoal.operations.apply import Pace
    from shoal.operations.pace import Budget, Throttle

    count = args.jobs
    if count is None:
        try:
            count = jobs(context.repository.config.get("annex.jobs") or "1")
        except argparse.ArgumentTypeError:
            count = 1
    context.out.concurrent = count > 1
    return Pace(count, Throttle(args.limit_rate), Budget(args.max_transfer, args.time_limit))


def node_called(context: Context, cluster: Cluster, word: str) -> UUID:
    """Give the node that a user calls `word`. Raises ShoalError."""
    for uuid, name in cluster.names.items():
        if name == word:
            return uuid
    uuid = context.session.uuid_of(word)
    if uuid not in cluster.nodes:
        raise ShoalError(f'"{word}" is no node of the cluster {cluster.name}')
    return uuid


@asynccontextmanager
async def opened(context: Context, cluster: Cluster) -> AsyncIterator[tuple[Fleet, Attendance]]:
    """Open a cluster's nodes, and give with them the repositories that can be asked. Says which
    nodes cannot, now or later."""
    from shoal.operations.attendance import Attendance
    from shoal.operations.fleet import Fleet
    from shoal.operations.probing import State, look_around, up

    def tell(uuid: UUID, health: Health) -> None:
        """Say that one came back, or went away."""
        if health.state is State.UP:
            context.out.warning(f"{fleet.name(uuid)} is available again")
        else:
            context.out.warning(f"{fleet.name(uuid)} is no longer available: {health.why}")

    async with Fleet(context.new_session, cluster.remotes) as fleet:
        health = await look_around(fleet, cluster.nodes)
        for uuid in cluster.nodes:
            if health[uuid].state is not State.UP:
                context.out.warning(f"{cluster.names[uuid]} is not available: {health[uuid].why}")
        down = [uuid for uuid, one in health.items() if one.state is State.DOWN]
        yield fleet, Attendance(fleet, up(health), down, tell=tell)


class Shown:
    """Shows what is done as items of the command's output."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @contextmanager
    def step(self, action: str, key: Key, note: str) -> Iterator[Step]:
        with self._context.out.item(Subject(key=key), command=action) as item:
            item.note(note)
            yield item


async def work_towards(goal: str, args: argparse.Namespace, context: Context) -> int:
    """Rebalance or heal a cluster, as the user says; give the exit code."""
    from shoal.operations.choosing import choose_cluster
    from shoal.operations.operation import Operation
    from shoal.operations.plan import Goal
    from shoal.operations.replan import Planner

    cluster = choose_cluster(context.session, args.cluster)
    async with opened(context, cluster) as (fleet, attendance):
        planner = Planner(fleet, cluster, attendance, Goal(goal))
        check = planner.goal is Goal.HEAL and not context.settings.fast
        return await work_on(args, context, Operation(planner, check=check))


async def work_on(
    args: argparse.Namespace,
    context: Context,
    operation: Operation,
    begin: Callable[[], None] = lambda: None,
) -> int:
    """Show what would be done or, if the user agrees, do it after `begin`; give the exit code."""
    names = operation.names
    if not args.yes or args.dry_run:
        if not args.dry_run and not _can_ask(context):
            raise UsageError(_SAY_YES)
        preview = await operation.new_preview()
        async for plan in operation.plans():
            preview.add(plan)
            if args.dry_run:
                _show_plan(context, plan, names)
        _show_preview(context, preview, names)
        if args.dry_run:
            return 0
        if not _agreed(context):
            return 1
    begin()
    try:
        await operation.apply(Shown(context), pace_of(args, context))
    except asyncio.CancelledError:
        operation.tally.spent = "it was interrupted"
        show_tally(context, operation.tally)
        raise
    return show_tally(context, operation.tally)


def _can_ask(context: Context) -> bool:
    return not context.out.json and sys.stdin.isatty() and sys.stdout.isatty()


def _agreed(context: Context) -> bool:
    context.out.line("Do this? [y/N] ", end="")
    context.out.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _show_plan(context: Context, plan: KeyPlan, names: Mapping[UUID, str]) -> None:
    """Show one key of a preview."""
    to, off = (
        [names.get(uuid, uuid) for uuid in uuids] for uuids in (plan.copy_to, plan.drop_from)
    )
    if context.out.json:
        context.out.record(
            {
                "command": context.command,
                "key": str(plan.key),
                "copy-to": _in_json(plan.copy_to, names),
                "drop-from": _in_json(plan.drop_from, names),
                "reason": plan.reason,
                "blocked": plan.blocked,
            }
        )
        return
    actions = [f"copy to {', '.join(to)}"] if to else []
    actions += [f"drop from {', '.join(off)}"] if off else []
    actions += [f"blocked: {plan.blocked}"] if plan.blocked else []
    reason = f" ({plan.reason})" if plan.reason else ""
    context.out.line(f"{plan.key}: {'; '.join(actions)}{reason}")


def _show_preview(context: Context, preview: Preview, names: Mapping[UUID, str]) -> None:
    """Show what all plans come to."""
    out = context.out
    if out.json:
        out.record(
            {
                "command": context.command,
                "dry-run": True,
                "keys": preview.keys,
                "copies": preview.copies,
                "bytes-copied": preview.arriving,
                "drops": preview.drops,
                "bytes-dropped": preview.leaving,
                "blocked": preview.blocked,
                "nodes": [
                    {
                        "uuid": uuid,
                        "name": names.get(uuid, uuid),
                        "size-before": node.before,
                        "size-after": node.after,
                    }
                    for uuid, node in preview.nodes.items()
                ],
            }
        )
        return
    if not preview.keys:
        out.line("Nothing can be done." if preview.blocked else "Nothing is to be done.")
    else:
        out.line(f"{'before':>10} {'after':>10}  node")
        for uuid, node in sorted(preview.nodes.items(), key=lambda one: names.get(one[0], one[0])):
            before, after = rough_size(node.before), rough_size(node.after)
            out.line(f"{before:>10} {after:>10}  {names.get(uuid, uuid)}")
        out.line(
            f"{count(preview.copies, 'copy')} ({rough_size(preview.arriving)}) and "
            f"{count(preview.drops, 'drop')} ({rough_size(preview.leaving)}) of "
            f"{count(preview.keys, 'key')}"
        )
    if preview.blocked:
        out.line(f"{count(preview.blocked, 'key')} cannot be put right now")


def show_tally(context: Context, tally: Tally) -> int:
    """Show what was done; give the exit code."""
    complete = not (tally.failed or tally.blocked or tally.spent)
    if context.out.json:
        context.out.record(
            {
                "command": context.command,
                "copies": tally.copied,
                "bytes-copied": tally.copied_size,
                "bytes-sent": tally.sent,
                "drops": tally.dropped,
                "bytes-dropped": tally.dropped_size,
                "failed": tally.failed,
                "blocked": tally.blocked,
                "limit-reached": tally.spent,
                "success": complete,
            }
        )
    elif not context.settings.quiet:
        copies = f"{count(tally.copied, 'copy')} ({rough_size(tally.copied_size)})"
        drops = f"{count(tally.dropped, 'drop')} ({rough_size(tally.dropped_size)})"
        context.out.line(f"{copies} and {drops} done")
    if tally.blocked:
        context.out.warning(f"{count(tally.blocked, 'key')} could not be put right")
    if tally.spent:
        context.out.warning(f"Ended early: {tally.spent}. Run it again to go on.")
    if tally.failed or tally.blocked:
        return 1
    return REACHED if tally.spent else 0


def count(number: int, what: str) -> str:
    """Give `1 key`, `2 keys`, `2 copies`."""
    if number == 1:
        return f"1 {what}"
    return f"{number} {what.removesuffix('y')}ies" if what == "copy" else f"{number} {what}s"


def _in_json(uuids: Sequence[UUID], names: Mapping[UUID, str]) -> list[JSON]:
    return [{"uuid": uuid, "name": names.get(uuid, uuid)} for uuid in uuids]

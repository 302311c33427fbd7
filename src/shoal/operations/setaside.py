"""Taking a bad copy out of a node, so that it is taken for a copy no longer.

In a repository of this machine the object is moved to ANNEX/bad, as `git annex fsck` does; its
bytes are kept. A node that is reached over a network can only remove it. That is done only
while another copy, verified by its content, is locked; otherwise the object stays where it is,
and the location log says that it is no copy.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING

from shoal.annex.proof import Needed, removal_deadline
from shoal.annex.verifying import RemoteSource, drop_proof
from shoal.errors import ShoalError
from shoal.git.clock import monotonic
from shoal.operations.verify import State, identity, verify
from shoal.remotes.base import Caller
from shoal.remotes.settings import Kind

if TYPE_CHECKING:
    from shoal.gateway.node import Node
    from shoal.operations.fleet import Fleet
    from shoal.operations.pace import Throttle
    from shoal.operations.verify import FileState
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

_ONE = Needed(1, 1)


async def set_aside(
    fleet: Fleet, uuid: UUID, key: Key, file: FileState | None, throttle: Throttle
) -> str:
    """Take the bad copy of `key` out of a repository and record that; give what became of it,
    a clause for people. `file` is what was found to be bad.

    Raises ShoalError when that cannot be done, or the object is another one by now.
    """
    path = _path_of(fleet, uuid)
    if path is not None:
        patience = fleet.patience
        moving = asyncio.to_thread(partial(_move, path, uuid, key, file))
        moved = await patience.call(fleet.name(uuid), moving, patience.limits.stall)
        await fleet.record(key, missing=[uuid])
        return f"moved to {moved}"
    node = fleet.node(uuid)
    good = await _good_copy(fleet, key, uuid, throttle)
    if good is None:
        await fleet.record(key, missing=[uuid])
        return "left where it is, since no good copy is known"
    await _remove(fleet, node, key, good)
    return f"removed, since {good.name} has a good copy"


def _path_of(fleet: Fleet, uuid: UUID) -> str | None:
    """Give where a repository is on this machine."""
    if uuid == fleet.session.here:
        return fleet.session.repository.path
    settings = fleet.settings_of(uuid)
    return settings.location if settings.kind is Kind.PATH else None


def _move(path: str, uuid: UUID, key: Key, file: FileState | None) -> str:
    from shoal.git.repository import Repository

    with Repository.open(path) as repository:
        if repository.uuid != uuid:
            raise ShoalError(f"another repository is in the place of {path}")
        found = repository.objects.path(key)
        if found is None or identity(os.stat(found)) != file:
            raise ShoalError("it was replaced meanwhile")
        moved = repository.objects.move_bad(key)
        repository.logs.set_location(key, uuid, False)
        repository.branch.commit()
        return moved


async def _good_copy(fleet: Fleet, key: Key, bad: UUID, throttle: Throttle) -> Node | None:
    """Give a repository whose copy was verified just now."""
    equivalents = fleet.session.repository.objects.equivalents(key)
    for node in fleet.holders(key, {bad}):
        if not node.remote.info.can_lock:
            continue
        try:
            caller = Caller(fleet.session.here)
            verdict = await verify(node, key, throttle, caller, equivalents)
        except ShoalError:
            continue
        if verdict.state is State.GOOD:
            return node
    return None


async def _remove(fleet: Fleet, node: Node, key: Key, good: Node) -> None:
    """Remove a bad copy while a good one is locked, and record it."""
    remote, other = fleet.remote(node.uuid), RemoteSource(fleet.remote(good.uuid), monotonic)
    async with drop_proof(key, _ONE, [other], here=False) as proof:
        before = removal_deadline(proof, await remote.timestamp(), monotonic())
        result = await remote.remove(key, before=before)
    if not result.removed:
        raise ShoalError(f"it could not be removed: {result.error}")

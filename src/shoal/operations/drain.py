"""Marking a node that leaves its cluster, so that nothing new comes to it.

The marks are on the git-annex branch, in terms that every git-annex understands, so all
gateways of the cluster heed them, the real program's too:

* the node is in no group: no balanced expression gives it anything, and the others share what
  would have been its part;
* it wants nothing.

What was configured before is kept in config.log as `shoal.drain.UUID`, which all versions leave
alone (checked with git-annex 10.20261026), until the marks are taken back. Because of that entry
our gateways store nothing there even when no node wants a key; the real ones then store on
every node. The maximum size is left alone: it cannot be unset again, since to balanced
expressions a size of 0, other than none, is a full repository.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.gateway.choosing import LEAVING
from shoal.logs.trust import TrustLevel
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.annex.session import Session
    from shoal.git.annexlogs import AnnexLogs
    from shoal.values.key import Key

_NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Before:
    """What was configured for a node before it was to leave."""

    wanted: str
    groups: tuple[str, ...]


def draining(logs: AnnexLogs) -> dict[UUID, Before]:
    """Give the nodes that are marked, and what was configured for them before."""
    found = {}
    for name, value in logs.config().items():
        if name.startswith(LEAVING) and (before := _read(value)) is not None:
            found[UUID(name.removeprefix(LEAVING))] = before
    return found


def _read(value: str) -> Before | None:
    """Read what mark() wrote; None for anything else, such as a mark that was taken back."""
    try:
        fields = json.loads(value)
        return Before(fields["wanted"], tuple(fields["groups"]))
    except (ValueError, TypeError, KeyError):
        return None


def check_may_drain(session: Session, node: UUID, name: str) -> None:
    """Raise ShoalError when something forbids that a node loses all that it has."""
    if session.logs.required().get(node):
        raise ShoalError(
            f"{name} has required content, which cannot be dropped",
            hint=f'First take that back: shoal required {name} ""',
        )
    if session.trust(node) is TrustLevel.DEAD:
        raise ShoalError(f"{name} is dead: nothing is to be drained")


def mark(logs: AnnexLogs, node: UUID) -> None:
    """See to it that nothing new comes to a node. Harmless when it is marked already, and
    completed by another call when it was interrupted."""
    if node not in draining(logs):
        before = {
            "wanted": logs.wanted().get(node, ""),
            "groups": sorted(logs.groups().get(node, ())),
        }
        logs.set_config(LEAVING + node, json.dumps(before, sort_keys=True))
    if logs.groups().get(node):
        logs.set_groups(node, ())
    if logs.wanted().get(node) != _NOTHING:
        logs.set_wanted(node, _NOTHING)


def unmark(logs: AnnexLogs, node: UUID, name: str) -> None:
    """Take the marks back; what somebody configured since then stays.

    Raises ShoalError when the node is not marked.
    """
    before = draining(logs).get(node)
    if before is None:
        raise ShoalError(f"{name} is not being drained")
    if not logs.groups().get(node) and before.groups:
        logs.set_groups(node, before.groups)
    if logs.wanted().get(node) == _NOTHING:
        logs.set_wanted(node, before.wanted)
    logs.set_config(LEAVING + node, "")


@dataclass(frozen=True, slots=True)
class Left:
    """What a node still has: `logged` keys, and `unlogged` objects that only the node itself
    knows of (None: they cannot be looked for)."""

    logged: int
    unlogged: int | None
    examples: tuple[Key, ...]

    @property
    def is_empty(self) -> bool:
        return not self.logged and not self.unlogged


_EXAMPLES = 5


def what_is_left(session: Session, node: UUID, path: str | None) -> Left:
    """Look for what a node has; `path` is where it is, if that is on this machine.

    Raises NotARepository when there is nothing. Blocking.
    """
    from shoal.git.repository import Repository

    session.repository.refresh()
    logged = [key for key, where in session.logs.scan_locations() if node in where]
    examples = logged[:_EXAMPLES]
    if path is None:
        return Left(len(logged), None, tuple(examples))
    known = set(logged)
    with Repository.open(path) as repository:
        there = repository.objects.keys()
        unlogged = [key for key in there if key not in known]
    examples += unlogged[: _EXAMPLES - len(examples)]
    return Left(len(logged), len(unlogged), tuple(examples))

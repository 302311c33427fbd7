"""Which nodes are up: each is asked something small, all at once.

They are opened as the gateway opens them, and waited for as long as it would wait, so that one
that hangs holds nothing up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from shoal.errors import NoSuchRemote, RemoteUnavailable, ShoalError
from shoal.gateway.probe import NOBODYS_KEY
from shoal.values.uuid import is_cluster_uuid

if TYPE_CHECKING:
    from shoal.operations.fleet import Fleet
    from shoal.values.key import Key
    from shoal.values.uuid import UUID


class State(Enum):
    """What is known of a node."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"
    """It is no remote of this repository, so it cannot be asked from here."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a node answered; `why` it did not, a clause for people."""

    state: State
    why: str = ""


async def probe(fleet: Fleet, repos: Collection[UUID]) -> dict[UUID, Health]:
    """Ask repositories whether they are there."""
    answers = await asyncio.gather(*(_ask(fleet, repo) for repo in repos))
    return dict(zip(repos, answers, strict=True))


async def look_around(fleet: Fleet, nodes: Collection[UUID]) -> dict[UUID, Health]:
    """Ask the nodes of a cluster, and all others that can be reached from here and may have
    copies: this repository and its remotes, but no clusters."""
    others = {one.uuid for one in fleet.usable if one.uuid and not is_cluster_uuid(one.uuid)}
    return await probe(fleet, sorted({*nodes, *others, fleet.session.here}))


def up(health: Mapping[UUID, Health]) -> frozenset[UUID]:
    """Give those that can be asked."""
    return frozenset(repo for repo, one in health.items() if one.state is State.UP)


async def holders(
    fleet: Fleet, repos: Collection[UUID], key: Key
) -> Mapping[UUID, bool | ShoalError]:
    """Ask repositories whether they have a key; an error stands for one that did not say."""

    async def ask(repo: UUID) -> bool | ShoalError:
        try:
            return await fleet.node(repo).ask(lambda remote: remote.check_present(key))
        except ShoalError as error:
            return error

    answers = await asyncio.gather(*map(ask, repos))
    return dict(zip(repos, answers, strict=True))


async def _ask(fleet: Fleet, repo: UUID) -> Health:
    try:
        await fleet.node(repo).ask(lambda remote: remote.check_present(NOBODYS_KEY))
    except NoSuchRemote:
        return Health(State.UNKNOWN, "not a remote of this repository")
    except RemoteUnavailable as error:
        return Health(State.DOWN, error.cause)
    except ShoalError as error:
        return Health(State.DOWN, str(error))
    return Health(State.UP)

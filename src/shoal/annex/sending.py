"""Transfers of one session: with its retries, progress and location log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shoal.annex.transfer import Retries, Transfer, Transferred
from shoal.errors import KeyNotPresent, NotEnoughSpace, RemoteRefused, RemoteUnavailable, ShoalError
from shoal.remotes.settings import Kind, RemoteSettings
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.annex.matching import Candidate
    from shoal.annex.network import Network
    from shoal.annex.reporting import Reporter
    from shoal.remotes.base import Remote
    from shoal.values.key import Key

_FORWARD, _ANY, _DELAY = 5, 0, 1.0


async def send(
    network: Network, candidate: Candidate, source: Remote, target: Remote, reporter: Reporter
) -> Transferred:
    """Send a key from one remote to another, and record where it is then.

    Raises what Transfer.run raises.
    """
    session, key = network.session, candidate.key
    transfer = Transfer(key, source, target, session.here, candidate.path or "")
    other = target if source.info.uuid == session.here else source
    done = await transfer.run(
        lambda count: reporter.progress(count, key.size), retries_of(network, other.info.name)
    )
    now_at = [*([target.info.uuid] if done.stored else []), *done.stored_in]
    await record(network, key, dict.fromkeys(now_at, True))
    return done


async def record(network: Network, key: Key, changes: dict[UUID, bool]) -> None:
    """Put into the location log what remotes said."""
    if changes:
        await asyncio.to_thread(network.session.logs.set_locations, key, changes)


def explain(error: ShoalError, settings: RemoteSettings) -> str:
    """Give the cause of a failure with a remote, as the real program words it."""
    if settings.read_only and isinstance(error, RemoteRefused):
        return "this remote is readonly"
    if settings.kind is Kind.PATH:
        if isinstance(error, RemoteUnavailable):
            return "cannot access remote"
        if isinstance(error, KeyNotPresent):
            return "content is not present in remote"
    if isinstance(error, NotEnoughSpace) and error.hint:
        return f"{error} ({error.hint})"
    return error.cause if isinstance(error, RemoteUnavailable) else str(error)


def retries_of(network: Network, name: str) -> Retries:
    """Give how often transfers with the remote `name` are tried again."""
    settings = network.session.repository.config.remote(name)
    return Retries(
        int(settings.get_float("annex-forward-retry", _FORWARD)),
        int(settings.get_float("annex-retry", _ANY)),
        settings.get_float("annex-retrydelay", _DELAY),
    )

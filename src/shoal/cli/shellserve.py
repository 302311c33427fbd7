"""Sessions of shoal-shell that need an event loop: p2pstdio and dropkey."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from shoal.cli.shellshare import tell_others
from shoal.errors import NoSuchRemote, NotARepository
from shoal.git.diskreserve import reserve_of
from shoal.git.objects import ContentAbsent
from shoal.remotes.local import LocalRemote
from shoal.server.p2p_session import serve_p2p
from shoal.server.patience import stall_of
from shoal.transport.stdio import own_stdio
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.p2p.server import Access, Event, ServerSession
    from shoal.remotes.base import Remote
    from shoal.values.key import Key


def serve_session(
    repository: Repository,
    wanted: UUID | None,
    client: UUID,
    access: Access,
    complain: Callable[[str], None],
    begun: tuple[ServerSession, Event | None] | None = None,
) -> int:
    """Serve one P2P session on stdin and stdout; give the exit code.

    `begun` is a session that was begun already, and what it has come to.
    `wanted` is the repository that is asked for: this one, or one that it is a gateway for.
    Raises NotARepository, before the client hears anything, when that is not served here.
    """
    return asyncio.run(_serve_session(repository, wanted, client, access, complain, begun))


async def _serve_session(
    repository: Repository,
    wanted: UUID | None,
    client: UUID,
    access: Access,
    complain: Callable[[str], None],
    begun: tuple[ServerSession, Event | None] | None,
) -> int:
    async with (
        _served(repository, wanted, complain) as remote,
        own_stdio(alone=isinstance(remote, LocalRemote)) as stream,
    ):
        await serve_p2p(
            remote,
            stream,
            client=client,
            access=access,
            report=complain,
            begun=begun,
            reserve=partial(reserve_of, repository),
            stall=stall_of(repository.config),
        )
    return 0


@asynccontextmanager
async def _served(
    repository: Repository, wanted: UUID | None, complain: Callable[[str], None]
) -> AsyncIterator[Remote]:
    """Give the remote that is asked for; what it recorded is committed at the end."""
    own = wanted is None or wanted == repository.uuid
    if own and repository.config.get("annex.trashbin") is None:
        async with _opened(repository) as local:
            yield local
        return
    from shoal.gateway.served import Served

    served = Served(repository, complain=lambda error: complain(str(error)))
    try:
        try:
            remote = await served.remote(wanted or repository.uuid)
        except NoSuchRemote as error:
            raise _not_served(repository, str(wanted)) from error
        yield remote
    finally:
        await served.aclose()
        if served.log_has_changed:
            tell_others(repository)


@asynccontextmanager
async def _opened(repository: Repository) -> AsyncIterator[LocalRemote]:
    changed = threading.Event()
    remote = LocalRemote(
        repository.path,
        repository.uuid,
        repository=repository,
        on_log_change=changed.set,
        content_hook=True,
        alone=True,
    )
    try:
        yield remote
    finally:
        if changed.is_set():
            await remote.commit()
        await remote.aclose()
        if changed.is_set():
            tell_others(repository)


def _not_served(repository: Repository, wanted: str) -> NotARepository:
    """Give the error for a UUID that is not served: known but not proxied for, or a stranger's."""
    published = repository.logs.proxies(repository.uuid)
    described = repository.logs.descriptions().get(UUID(wanted))
    if published and described is not None:
        return NotARepository(f"not configured to proxy for repository {described}")
    return NotARepository(f"expected repository UUID {wanted} but found UUID {repository.uuid}")


def drop_keys(repository: Repository, keys: Sequence[Key]) -> int:
    """Remove contents without looking for other copies; give the exit code."""
    return asyncio.run(_drop_keys(repository, keys))


async def _drop_keys(repository: Repository, keys: Sequence[Key]) -> int:
    if not repository.config.get("annex.uuid"):  # a repository of gcrypt keeps no logs
        for key in keys:
            with suppress(ContentAbsent), repository.objects.lock_removal(key) as removal:
                removal.remove()
        return 0
    async with _opened(repository) as remote:
        results = [await remote.remove(key) for key in keys]
    return 0 if all(result.removed for result in results) else 1


async def record_present(repository: Repository, key: Key) -> None:
    """Record that a content has come here, and commit that."""
    async with _opened(repository) as remote:
        await remote.store_present(key)

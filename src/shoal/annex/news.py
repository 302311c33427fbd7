"""Hearing from other repositories when their git refs change, over connections that stay open.

On another machine `git-annex-shell notifychanges` is run, which says READY, and then CHANGED with
object names each time; a peer is asked NOTIFYCHANGE again and again. Source: git-annex-shell and
the P2P protocol design page; urls and who is listened to as with git-annex 10.20261026.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from shoal.errors import RemoteUnavailable, ShoalError
from shoal.p2p.messages import Changed, NotifyChange
from shoal.remotes.base import RemoteInfo
from shoal.remotes.p2psocket import Dialer
from shoal.remotes.settings import RemoteSettings, is_ssh_url
from shoal.remotes.ssh import NO_CONNECTION, SshSockets, ssh_options, why_it_ended
from shoal.transport.ssh import SshPlace, shell_command
from shoal.values.p2paddress import SCHEMES, parse_address

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.transport.stream import ByteStream

Refs = tuple[str, ...]
"""Object names that refs have now."""
News = AsyncIterator[Refs]
"""What changed, again and again; it ends with the connection."""

_URL_LETTERS: Final = ":/?#[]@!$&'()*+,;=-._~%"
_PASSWORD: Final = re.compile(r"(://[^/@:]*:)[^/@]*@")


class TellsNothing(ShoalError):
    """A repository that cannot tell of changes; to ask it again would not help."""


def tells_news(remote: RemoteSettings) -> bool:
    """Tell whether a remote is of a kind that can tell of changes."""
    return is_ssh_url(remote.git_url) or remote.git_url.startswith(SCHEMES)


def uri_of(remote: RemoteSettings) -> str:
    """Give the address of a remote as git-annex names it to those who listen: always in the form
    of a URL, and without a password."""
    url = remote.git_url
    if "://" not in url and not url.startswith(SCHEMES):
        place = SshPlace.parse(url)
        user, at, host = place.host.rpartition("@")
        url = f"ssh://{user}{at}{f'[{host}]' if ':' in host else host}{place.path}"
    return quote(_PASSWORD.sub(r"\1...@", url), safe=_URL_LETTERS, errors="surrogateescape")


def listen(
    repository: Repository, remote: RemoteSettings, sockets: SshSockets
) -> AbstractAsyncContextManager[News]:
    """Connect to a remote for the time of the context, and give what it tells.

    Raises RemoteUnavailable when that may work later, TellsNothing, ConfigError.
    """
    if is_ssh_url(remote.git_url):
        return _over_ssh(repository, remote, sockets)
    return _over_a_network(repository, remote)


@asynccontextmanager
async def _over_ssh(
    repository: Repository, remote: RemoteSettings, sockets: SshSockets
) -> AsyncIterator[News]:
    place = SshPlace.parse(remote.git_url)
    command = shell_command(place, "notifychanges", shell=remote.shell, server=remote.uuid)
    async with await sockets.start(
        place, ssh_options(repository, remote), command, remote.name
    ) as stream:
        lines = _lines(stream)
        said = await anext(lines, None)
        if said is None:
            status = await stream.wait()
            if status == NO_CONNECTION:
                raise RemoteUnavailable(remote.name, why_it_ended(status))
            raise TellsNothing(why_it_ended(status))
        if said != "READY":
            raise TellsNothing("it does not tell of changes")
        yield _told(lines)


async def _lines(stream: ByteStream) -> AsyncIterator[str]:
    rest = b""
    while data := await stream.receive():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.decode("ascii", "replace")


async def _told(lines: AsyncIterator[str]) -> News:
    async for line in lines:
        word, *refs = line.split(" ")
        if word != "CHANGED":
            raise TellsNothing("it does not tell of changes")
        yield tuple(filter(None, refs))


@asynccontextmanager
async def _over_a_network(repository: Repository, remote: RemoteSettings) -> AsyncIterator[News]:
    """A peer does not tell what was changed before: the first of the news is empty."""
    if remote.uuid is None:
        raise TellsNothing("its UUID is not known")
    try:
        address = parse_address(remote.git_url)
    except ValueError as error:
        raise TellsNothing(str(error)) from error
    info = RemoteInfo(remote.uuid, remote.name)
    connection = await Dialer(repository, address, info)(frozenset())

    async def told() -> News:
        await connection.say(NotifyChange())
        yield ()
        while True:
            answer = await connection.answer()
            if not isinstance(answer, Changed):
                raise TellsNothing("it does not tell of changes")
            await connection.say(NotifyChange())
            yield tuple(name.decode("ascii", "replace") for name in answer.objects)

    try:
        yield told()
    finally:
        await connection.aclose()

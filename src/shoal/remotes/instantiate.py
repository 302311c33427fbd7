"""Remotes ready for use, from what is configured.

What a kind of remote needs is imported when the first such remote is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shoal.errors import ConfigError
from shoal.remotes.base import Remote, RemoteInfo
from shoal.remotes.settings import Kind, RemoteSettings

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.remotes.local import LocalRemote
    from shoal.remotes.ssh import SshSockets
    from shoal.transport.http_client import HttpClient, HttpOptions


class Opener:
    """Opens remotes of one repository. Connections over HTTP and ssh are shared by
    them.

    `on_log_change` is called with a repository on this machine whose location log changed, in
    a thread; `trash` gives the remote that annex.trashbin names.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        on_log_change: Callable[[LocalRemote], None] | None = None,
        trash: Callable[[str], Remote | None] | None = None,
    ) -> None:
        self._repository = repository
        self._on_log_change = on_log_change
        self._trash = trash
        self._clients: dict[HttpOptions, HttpClient] = {}
        self._sockets: SshSockets | None = None

    def open(self, settings: RemoteSettings) -> Remote:
        """Make the remote that `settings` describe. Nothing is contacted yet.

        Raises ConfigError when its UUID is not known, or it is of a kind that cannot be used.
        """
        if settings.uuid is None:
            raise ConfigError(
                f'the UUID of the remote "{settings.name}" is not known',
                hint=f"is it there? {settings.location}",
            )
        info = RemoteInfo(settings.uuid, settings.name, settings.cost, read_only=settings.read_only)
        if settings.kind is Kind.PATH:
            return self._open_path(settings.location, info)
        if settings.kind is Kind.HTTP:
            return self._open_http(settings, info)
        if settings.kind is Kind.SSH:
            return self._open_ssh(settings, info)
        if settings.kind is Kind.P2P:
            from shoal.remotes.p2psocket import p2p_remote

            return p2p_remote(self._repository, settings.location, info)
        raise ConfigError(f'remotes like "{settings.name}" ({settings.kind.value}) cannot be used')

    async def aclose(self) -> None:
        """Close the connections. The remotes must have been closed before."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()
        sockets, self._sockets = self._sockets, None
        if sockets is not None:
            import asyncio

            await asyncio.to_thread(sockets.close)

    def _open_path(self, path: str, info: RemoteInfo) -> Remote:
        from shoal.remotes.local import LocalRemote

        def changed() -> None:
            if self._on_log_change is not None:
                self._on_log_change(remote)

        remote = LocalRemote(
            path,
            info.uuid,
            name=info.name,
            cost=info.cost,
            read_only=info.read_only,
            on_log_change=changed,
            trash=self._trash,
            keeps_reserve=self._repository.keeps_reserve,
        )
        return remote

    def _open_ssh(self, settings: RemoteSettings, info: RemoteInfo) -> Remote:
        from shoal.remotes.ssh import SshSockets, ssh_remote

        if self._sockets is None:
            self._sockets = SshSockets(self._repository)
        return ssh_remote(self._repository, settings, info, self._sockets)

    def _open_http(self, settings: RemoteSettings, info: RemoteInfo) -> Remote:
        from shoal.git.diskreserve import reserve_of
        from shoal.remotes.httplogin import Login
        from shoal.remotes.p2phttp import P2PHttpRemote, http_options
        from shoal.transport.http_client import HttpClient

        options = http_options(self._repository.config)
        client = self._clients.get(options)
        if client is None:
            client = self._clients[options] = HttpClient(options)
        login = Login(self._repository.git, credential_url(settings))
        here = self._repository.uuid
        return P2PHttpRemote(
            settings.location,
            info,
            client=here,
            http=client,
            login=login,
            reserve=partial(reserve_of, self._repository),
        )


def credential_url(settings: RemoteSettings) -> str:
    """Give the URL that git's credential helpers are asked about for an HTTP remote: the one
    that git uses when it is http(s) on the same host, whatever the port; else its own."""
    git, annex = urlsplit(settings.git_url), urlsplit(settings.location.removeprefix("annex+"))
    same_host = git.hostname is not None and git.hostname == annex.hostname
    return settings.git_url if git.scheme in {"http", "https"} and same_host else settings.location

"""Repositories on other machines, over ssh.

git-annex-shell (or shoal-shell) is run there for each connection, which is kept for further
requests. Connections to one host share what ssh made first, through the same sockets below
.git/annex/ssh as git-annex uses, with the same locks: who lets go of a socket last stops it.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from shoal.errors import RemoteUnavailable
from shoal.git.diskreserve import reserve_of
from shoal.remotes.p2pconnection import Ended, P2PConnection
from shoal.remotes.p2ppool import Bypass, kept_of
from shoal.remotes.p2pstream import P2PStreamRemote
from shoal.transport.ssh import (
    SshPlace,
    SshProgram,
    fits_a_socket,
    git_ssh_from,
    shell_command,
)
from shoal.transport.stdio import ProcessStream

if TYPE_CHECKING:
    from shoal.git.locks import Lock
    from shoal.git.repository import Repository
    from shoal.remotes.base import RemoteInfo
    from shoal.remotes.settings import RemoteSettings

NO_CONNECTION: Final = 255  # ssh's own failure
_NOT_FOUND: Final = 127


class SshSockets:
    """The shared connections that one repository uses, each held by a lock."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._enabled = repository.config.get_bool("annex.sshcaching", True)
        self._held: dict[str, tuple[Lock, SshProgram]] = {}

    async def start(
        self, place: SshPlace, options: tuple[str, ...], command: str, name: str
    ) -> ProcessStream:
        """Run a command at a place, for the remote `name`. Raises RemoteUnavailable when ssh
        cannot be run."""
        program = await asyncio.to_thread(self.program, place, options)
        try:
            return await ProcessStream.start(program.words(place, command))
        except OSError as error:
            raise RemoteUnavailable(name, f"cannot run ssh: {error.strerror}") from error

    def program(self, place: SshPlace, options: tuple[str, ...]) -> SshProgram:
        """Give how ssh is to be run for a place, and hold its socket. Blocks for a moment."""
        git_ssh = git_ssh_from(dict(os.environ))
        if git_ssh:
            return SshProgram(git_ssh=git_ssh)
        path = self._path(place) if self._enabled else ""
        program = SshProgram(options, path)
        if path and path not in self._held:
            repository = self._repository
            repository.make_directory(os.path.dirname(path))
            self._held[path] = (repository.locker.shared(f"{path}.lock"), program)
        return program

    def _path(self, place: SshPlace) -> str:
        """Give the socket's path, the shorter of two; "" when it is too long for a socket."""
        absolute = self._repository.annex_path("ssh", place.socket_name())
        path = min(absolute, os.path.relpath(absolute), key=len)
        return path if fits_a_socket(path) else ""

    def close(self) -> None:
        """Let go of all sockets; stop those that nobody else holds. Blocks."""
        held, self._held = self._held, {}
        for path, (lock, program) in held.items():
            lock.release()
            with ExitStack() as stack:
                alone = self._repository.locker.try_exclusive(f"{path}.lock")
                if alone is None:
                    continue
                stack.enter_context(alone)
                _stop(path, program)

    def stop_all(self) -> None:
        """Have new connections made where there are shared ones, also those of others: they
        went through a network that is no longer there. Blocks."""
        for path, (_, program) in self._held.items():
            _stop(path, program)


def _stop(path: str, program: SshProgram) -> None:
    """Let a shared connection take no more sessions."""
    if os.path.exists(path):
        subprocess.run(
            program.stop_words(),
            cwd=os.path.dirname(path),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


class _Dialer:
    """Opens connections to one repository."""

    def __init__(
        self,
        repository: Repository,
        settings: RemoteSettings,
        info: RemoteInfo,
        sockets: SshSockets,
    ) -> None:
        self._place = SshPlace.parse(settings.location)
        self._options = ssh_options(repository, settings)
        self._shell = settings.shell
        self._info = info
        self._client = repository.uuid
        self._sockets = sockets
        self._first = asyncio.Lock()  # only one makes what the others share
        self._made_one = False

    async def __call__(self, bypass: Bypass) -> P2PConnection:
        if self._made_one:
            return await self._connect(bypass)
        async with self._first:
            connection = await self._connect(bypass)
            self._made_one = True
            return connection

    async def _connect(self, bypass: Bypass) -> P2PConnection:
        uuid = self._info.uuid
        command = shell_command(
            self._place, "p2pstdio", str(self._client), shell=self._shell, server=uuid
        )
        stream = await self._sockets.start(self._place, self._options, command, self._info.name)
        connection = P2PConnection(stream, uuid, self._info.name)
        try:
            await connection.greet(bypass)
        except Ended as error:
            await connection.aclose()
            why = why_it_ended(await stream.wait())
            raise RemoteUnavailable(self._info.name, why) from error
        except BaseException:
            await connection.aclose()
            raise
        return connection


def why_it_ended(status: int) -> str:
    """Say what it means that ssh ended with `status` before the session began."""
    if status == NO_CONNECTION:
        return "ssh could not connect"
    if status == _NOT_FOUND:
        return "git-annex-shell is not installed there, or not in PATH"
    return f"git-annex-shell ended with status {status}"


def ssh_options(repository: Repository, settings: RemoteSettings) -> tuple[str, ...]:
    """Give the options for ssh that are configured for a remote, or for all."""
    text = settings.ssh_options or repository.config.get("annex.ssh-options") or ""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return tuple(text.split())


def ssh_remote(
    repository: Repository, settings: RemoteSettings, info: RemoteInfo, sockets: SshSockets
) -> P2PStreamRemote:
    """Make a remote that is reached over ssh. Nothing is contacted yet.

    Raises ConfigError for a url that cannot be understood.
    """
    dialer = _Dialer(repository, settings, info, sockets)
    return P2PStreamRemote(
        info,
        dialer,
        reserve=partial(reserve_of, repository),
        kept=partial(kept_of, repository.config),
    )


def config_list(
    repository: Repository, settings: RemoteSettings, *, autoinit: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Ask another machine for a repository's configuration. Blocks.

    Raises ConfigError for a bad url, OSError when ssh cannot be run.
    """
    place = SshPlace.parse(settings.location)
    sockets = SshSockets(repository)
    fields = ["--", "autoinit=1", "--"] if autoinit else []
    try:
        program = sockets.program(place, ssh_options(repository, settings))
        command = shell_command(place, "configlist", *fields, shell=settings.shell)
        words = program.words(place, command, reads_stdin=False)
        return subprocess.run(words, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    finally:
        sockets.close()

"""Serve a repository on the peer-to-peer networks that were enabled for it.

There is a unix socket for each address of the repository. The program git-annex-p2p-NETWORK is
run with the address and the socket, and lets peers connect to it; to the socket of a hidden
service tor connects by itself. Source: git-annex's design page of generic P2P transports;
names and modes of the sockets as of git-annex 10.20261026.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from shoal.errors import ShoalError
from shoal.gateway.served import Served
from shoal.git.diskreserve import reserve_of
from shoal.git.p2pcreds import P2PCredentials
from shoal.server.hiddenservice import Tor
from shoal.server.p2pgit import GitService
from shoal.server.p2psocket import SocketServer
from shoal.server.patience import stall_of
from shoal.values.p2paddress import NetAddress, P2PAddress

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.remotes.base import Remote

_EVERY: Final = 10.0  # seconds between looks for addresses that came or went
_LONGEST_PATH: Final = 107  # bytes, of a unix socket
_BACKLOG: Final = 128
_FIRST_DELAY: Final = 1.0  # seconds until a transport that failed is started again
_LONGEST_DELAY: Final = 60.0
_TERMINATION: Final = 5.0  # seconds that a transport has to end


class CannotServe(ShoalError):
    """An address that cannot be served."""


class RemoteDaemon:
    """Serves one repository. `complain` is told in one sentence of what failed."""

    def __init__(self, repository: Repository, complain: Callable[[str], None]) -> None:
        self._repository = repository
        self._credentials = P2PCredentials(repository)
        self._complain = complain
        self._reload = asyncio.Event()
        self._listeners: dict[P2PAddress, asyncio.Task[None]] = {}
        self._failures: dict[P2PAddress, str] = {}  # that were told of

    def reload(self) -> None:
        """Look soon for addresses that came or went."""
        self._reload.set()

    async def run(self) -> None:
        """Serve until cancelled. What was recorded is then committed. Other gateways are told
        of changes of the git-annex branch meanwhile."""
        served = Served(
            self._repository, complain=lambda error: self._complain(str(error)), share_log=True
        )
        try:
            while True:
                self._reload.clear()
                await self._follow(self._credentials.addresses(), served)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_EVERY):
                        await self._reload.wait()
        finally:
            await self._follow([], served)
            await served.aclose()

    async def _follow(self, addresses: list[P2PAddress], served: Served) -> None:
        """Serve at `addresses` and nowhere else."""
        gone = [self._listeners.pop(old) for old in {*self._listeners} - {*addresses}]
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        for address in addresses:
            listener = self._listeners.get(address)
            if listener is None or listener.done():  # perhaps it can be served by now
                self._listeners[address] = asyncio.create_task(
                    self._listen(address, served), name=f"serve {address}"
                )

    async def _listen(self, address: P2PAddress, served: Served) -> None:
        def report(text: str) -> None:
            self._complain(f"{address}: {text}")

        async def own() -> Remote:
            return await served.remote(self._repository.uuid)

        tokens = partial(self._credentials.allowed_tokens, address)
        git = partial(GitService, self._repository)
        reserve = partial(reserve_of, self._repository)
        stall = stall_of(self._repository.config)
        server = SocketServer(own, tokens, report, git=git, reserve=reserve, stall=stall)
        try:
            path = socket_path(self._repository, address)
            with open_socket(path) as listening:
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(server.serve(listening))
                        if isinstance(address, NetAddress):
                            group.create_task(_lead_here(address, path, report))
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(path)
        except (ShoalError, OSError) as error:
            if self._failures.get(address) != str(error):
                self._failures[address] = str(error)
                report(str(error))


def socket_path(repository: Repository, address: P2PAddress) -> str:
    """Give where the clients that come over a network connect. Raises CannotServe."""
    if isinstance(address, NetAddress):
        directory = repository.annex_path("p2p")
        repository.make_directory(directory)
        name = hashlib.md5(os.fsencode(address.place), usedforsecurity=False).hexdigest()
        absolute = os.path.abspath(os.path.join(directory, name))
        path = min(absolute, os.path.relpath(absolute), key=len)
    else:
        path = Tor().socket_of(repository.uuid, os.getuid()) or ""
        if not path:
            raise CannotServe("tor has no hidden service for this repository")
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise CannotServe(f"the path of its socket is too long: {path}")
    return path


@asynccontextmanager
async def answer_only(repository: Repository, address: P2PAddress) -> AsyncIterator[None]:
    """Have somebody answer at an address for the time of the context, so that it can be seen
    whether peers reach it: a daemon that serves it already, or else one that lets nobody in.

    Raises CannotServe.
    """

    async def own() -> Remote:
        raise CannotServe("it is only looked whether it can be reached")

    path = socket_path(repository, address)
    if await asyncio.to_thread(_answers, path):
        yield
        return
    with open_socket(path) as listening:
        serving = asyncio.create_task(SocketServer(own, tuple).serve(listening))
        try:
            yield
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            os.unlink(path)


def open_socket(path: str) -> socket.socket:
    """Listen at `path`; whoever leads a network there may be another user, so that all may
    connect. A socket that a daemon left behind is replaced. Raises CannotServe."""
    if _answers(path):
        raise CannotServe("another remotedaemon serves it")
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
        opened.bind(path)
        os.chmod(path, 0o777)
        opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        raise CannotServe(f"cannot listen on {path}: {error.strerror}") from error
    return opened


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


async def _lead_here(address: NetAddress, path: str, report: Callable[[str], None]) -> None:
    """Keep the network's program running, unless it ends as one that has done its work."""
    delay, said = _FIRST_DELAY, ""
    while (failure := await _run_transport(address, path)) is not None:
        if failure != said:
            said = failure
            report(failure)
        await asyncio.sleep(delay)
        delay = min(2 * delay, _LONGEST_DELAY)


async def _run_transport(address: NetAddress, path: str) -> str | None:
    """Run the network's program to its end; say what went wrong, if anything did."""
    if shutil.which(address.program) is None:
        return f"{address.program} is not installed in PATH"
    try:
        process = await asyncio.create_subprocess_exec(
            address.program, address.address, path,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return f"cannot run {address.program}: {error.strerror}"
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        await _terminate(process)
        raise
    return f"{address.program} ended with status {status}" if status else None


async def _terminate(process: asyncio.subprocess.Process) -> None:
    """End a program, and what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_TERMINATION):
                await process.wait()
                return

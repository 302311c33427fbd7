"""The life of a server process: listen, answer, and end in good order.

At the first SIGTERM or SIGINT no more connections are taken, running requests have some time
to end, and what is journalled is committed. A second one ends the process at once; so does
kill -9, and neither leaves anything to repair.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from shoal.server.app import App
from shoal.server.githttp import GitHttp
from shoal.server.http import Server
from shoal.server.listening import Listener, listening_sockets, tls_context
from shoal.server.messages import complain
from shoal.server.options import Limits, Listening
from shoal.server.permissions import Permissions
from shoal.server.target import Directory

_FORCED_END = 0.5  # seconds that a cancelled request has to clean up
_HUNG = 10.0  # seconds that threads have to end; one that hangs on a dead disk never does


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Everything that a server process is told."""

    listening: Listening
    permissions: Permissions
    limits: Limits = field(default_factory=Limits)
    threads: int = 32
    cpus: int | None = None
    git: bool = False  # serve git itself, too


def serve(
    options: ServerOptions,
    open_directory: Callable[[], Awaitable[Directory]],
    environment: MutableMapping[str, str],
) -> None:
    """Serve until told to stop. Raises CannotListen, UsageError, and what `open_directory`
    raises, which is called in the event loop."""
    tls = tls_context(options.listening)
    sockets = listening_sockets(options.listening, environment, options.limits.stall)
    _use_processors(options.cpus)
    _allow_many_files()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(options.threads, "shoal"))
        directory = await open_directory()
        app = App(directory, options.permissions, options.limits, _git(directory, options))
        server = Server(app, options.limits)
        stopped = _on_signals(loop)
        async with Listener(sockets, server, tls):
            await stopped.wait()
        await _drain(app, server, options.limits)
        await app.locks.aclose()
        await directory.aclose()
        _end_without_hung_threads()

    asyncio.run(main())


def _git(directory: Directory, options: ServerOptions) -> GitHttp | None:
    return GitHttp(directory, options.permissions, options.limits) if options.git else None


async def _drain(app: App, server: Server, limits: Limits) -> None:
    """Let running requests end, for some time. Those that keep a lock are not waited for:
    the lock outlives the server on disk."""
    app.end()
    server.close_idle()
    try:
        async with asyncio.timeout(limits.drain):
            await app.idle()
    except TimeoutError:
        complain(f"requests that did not end within {limits.drain:g} seconds are broken off")
    await server.shutdown(_FORCED_END)


def _on_signals(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """Give an event that is set by the first signal to end; the next one has its own way."""
    stopped = asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)

    def stop() -> None:
        stopped.set()
        for each in signals:
            loop.remove_signal_handler(each)

    for each in signals:
        loop.add_signal_handler(each, stop)
    return stopped


def _use_processors(count: int | None) -> None:
    """Run on `count` of the processors that this process may use."""
    if count is not None:
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[: max(1, count)])


def _allow_many_files() -> None:
    """Each connection takes a file descriptor, and each transfer some more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _end_without_hung_threads() -> None:
    """Python waits for all threads at its end: limit that."""
    timer = threading.Timer(_HUNG, os._exit, [1])
    timer.daemon = True
    timer.start()

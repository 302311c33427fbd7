"""`shoal remotedaemon`: fetch what changes in remotes, and let peers use this repository.

In the foreground it takes commands on stdin, a line each, as git-annex's does: STOP ends it, PAUSE
and LOSTNET make it leave its remotes until RESUME, RELOAD makes it look for remotes and addresses
that came or went. CHANGED, for refs that changed here, has no effect: nobody needs to be told. On
stdout it says what annex/following.py lists.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.errors import ShoalError

if TYPE_CHECKING:
    import asyncio

    from shoal.annex.following import Following
    from shoal.git.repository import Repository
    from shoal.server.remotedaemon import RemoteDaemon
    from shoal.transport.stdio import FdStream


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--foreground",
        action="store_true",
        help="do not daemonize; take commands on stdin, say on stdout what happens",
    )


def run(args: argparse.Namespace, context: Context) -> int:
    path = context.repository.path
    context.abandon()  # the repository's processes must not be shared with a child
    if args.foreground:
        return _serve(path, foreground=True)
    if os.fork():
        return 0
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    try:
        os._exit(_serve(path, foreground=False))
    finally:
        os._exit(1)


def _serve(path: str, *, foreground: bool) -> int:
    import asyncio

    return asyncio.run(_run(path, foreground))


async def _run(path: str, foreground: bool) -> int:
    import asyncio
    import signal

    from shoal.git.repository import Repository

    with Repository.open(path) as repository:
        repository.complain = _complain
        working = asyncio.create_task(_work(repository, foreground))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, working.cancel)
        await asyncio.wait({working})
        if not working.cancelled():
            working.result()
    return 0


async def _work(repository: Repository, foreground: bool) -> None:
    """Serve and follow, in the foreground until the commands end. Raises ShoalError for a word
    that is no command."""
    import asyncio

    from shoal.annex.following import Following
    from shoal.server.remotedaemon import RemoteDaemon
    from shoal.transport.stdio import own_stdio

    said: asyncio.Queue[str] = asyncio.Queue()
    daemon = RemoteDaemon(repository, _complain)
    following = Following(repository, said.put_nowait if foreground else lambda line: None)
    tasks = [asyncio.create_task(daemon.run()), asyncio.create_task(following.run())]
    try:
        if not foreground:
            await asyncio.gather(*tasks)
            return
        async with own_stdio() as stream:
            obeying = asyncio.create_task(_obey(stream, daemon, following))
            tasks += [obeying, asyncio.create_task(_say(stream, said))]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _say(stream: FdStream, said: asyncio.Queue[str]) -> None:
    """Say lines as long as somebody listens."""
    from contextlib import suppress

    with suppress(ConnectionError):
        while True:
            line = await said.get()
            await stream.send(os.fsencode(f"{line}\n"))


async def _obey(stream: FdStream, daemon: RemoteDaemon, following: Following) -> None:
    """Follow commands until STOP, or the end of them. Raises ShoalError for another word."""
    rest = b""
    while data := await stream.receive():
        *lines, rest = (rest + data).split(b"\n")
        for line in map(os.fsdecode, lines):
            if line == "STOP":
                return
            if line in {"PAUSE", "LOSTNET"}:
                following.pause(lost_network=line == "LOSTNET")
            elif line == "RESUME":
                following.resume()
            elif line == "RELOAD":
                daemon.reload()
                following.reload()
            elif line.split(" ", 1)[0] != "CHANGED":
                raise ShoalError(f"protocol error: {line}")


def _complain(text: str) -> None:
    sys.stderr.write(f"shoal: {text}\n")
    sys.stderr.flush()

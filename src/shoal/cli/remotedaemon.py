"""`shoal remotedaemon`: let peers use this repository over peer-to-peer networks.

In the foreground it takes commands on stdin, a line each, as git-annex's does: STOP ends it,
RELOAD makes it look for new addresses; PAUSE, LOSTNET, RESUME and CHANGED are about remotes
that are watched for changes, of which it has none.
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
    from shoal.server.remotedaemon import RemoteDaemon
    from shoal.transport.stdio import FdStream

_IGNORED = frozenset({"PAUSE", "LOSTNET", "RESUME"})


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--foreground", action="store_true", help="do not daemonize; take commands on stdin"
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
    from contextlib import suppress

    from shoal.git.repository import Repository
    from shoal.server.remotedaemon import RemoteDaemon
    from shoal.transport.stdio import own_stdio

    with Repository.open(path) as repository:
        repository.complain = _complain
        daemon = RemoteDaemon(repository, _complain)
        serving = asyncio.create_task(daemon.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
        try:
            if foreground:
                async with own_stdio() as stream:
                    obeying = asyncio.create_task(_obey(stream, daemon))
                    await asyncio.wait({obeying, serving}, return_when=asyncio.FIRST_COMPLETED)
                    serving.cancel()
                    if obeying.done():
                        obeying.result()
                    obeying.cancel()
        finally:
            with suppress(asyncio.CancelledError):
                await serving
    return 0


async def _obey(stream: FdStream, daemon: RemoteDaemon) -> None:
    """Follow commands until STOP, or the end of them. Raises ShoalError for another word."""
    rest = b""
    while data := await stream.receive():
        *lines, rest = (rest + data).split(b"\n")
        for line in map(os.fsdecode, lines):
            word = line.split(" ", 1)[0]
            if line == "STOP":
                return
            if line == "RELOAD":
                daemon.reload()
            elif line not in _IGNORED and word != "CHANGED":
                raise ShoalError(f"protocol error: {line}")


def _complain(text: str) -> None:
    sys.stderr.write(f"shoal: {text}\n")
    sys.stderr.flush()

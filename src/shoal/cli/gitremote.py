"""`git-remote-p2p-annex`, `git-remote-tor-annex`: git runs them for urls of those schemes.

Source: gitremote-helpers(7), and git-annex 10.20261026.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from shoal.errors import RemoteRefused, ShoalError, UsageError
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoal.values.p2paddress import P2PAddress

_CONNECT = b"connect "


def main(words: Sequence[str] | None = None) -> int:
    """Talk with git; the words are the remote's name and its address. Gives the exit code."""
    name = os.path.basename(sys.argv[0])
    try:
        return _serve(name.removeprefix("git-remote-"), sys.argv[1:] if words is None else words)
    except (ShoalError, OSError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _serve(scheme: str, words: Sequence[str]) -> int:
    """Do what git says. Raises ShoalError and OSError."""
    from shoal.p2p.messages import SERVICES
    from shoal.values.p2paddress import parse_address

    if len(words) != 2:
        raise UsageError("git runs this with the name of a remote and its address")
    try:
        address = parse_address(f"{scheme}::{words[1].removeprefix(f'{scheme}::')}")
    except ValueError as error:
        raise UsageError(f"the address of the remote cannot be used: {error}") from error
    with io.FileIO(0, closefd=False) as asked:  # which takes no byte after a line
        while line := asked.readline().rstrip(b"\n"):
            if line == b"capabilities":
                _say(b"connect\n\n")
            elif (service := line.removeprefix(_CONNECT)) in SERVICES and service != line:
                return _connect(address, os.fsdecode(service))
            else:
                raise UsageError(f"git asked for {os.fsdecode(line)!r}, which is not known here")
    return 0


def _say(words: bytes) -> None:
    rest = memoryview(words)
    while rest:
        rest = rest[os.write(1, rest) :]


def _connect(address: P2PAddress, service: str) -> int:
    """Let git talk with its service at the peer; give the exit code. Raises ShoalError."""
    import asyncio

    from shoal.git.p2pcreds import P2PCredentials
    from shoal.git.repository import Repository

    with closing(Repository.discover()) as repository:
        client = repository.uuid if repository.is_initialised else UUID("")
        token = P2PCredentials(repository).token_for(address)
    return asyncio.run(_relay(address, client, token, service))


async def _relay(address: P2PAddress, client: UUID, token: str, service: str) -> int:
    from shoal.remotes.p2pgit import relay
    from shoal.remotes.p2psocket import introduced
    from shoal.transport.stdio import own_stdio

    async with introduced(address, client, token) as (peer, server):
        if server is None:
            raise RemoteRefused(
                "authentication failed, perhaps you need to set GIT_ANNEX_P2P_AUTHTOKEN"
            )
        _say(b"\n")  # git may begin
        async with own_stdio() as git:
            return await relay(peer, service, git)

"""`shoal checkpresentkey`: whether a remote, or any of them, has a key right now.

The exit code is 0 for yes, 1 for no, and 100 when that cannot be found out.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.selection import add_batch, parse_key, read_batch
from shoal.errors import ConfigError, RemoteError, ShoalError

if TYPE_CHECKING:
    from shoal.annex.network import Network
    from shoal.remotes.settings import RemoteSettings
    from shoal.values.key import Key

_UNKNOWN = 100


def add_arguments(parser: Parser) -> None:
    parser.add_argument("words", metavar="KEY REMOTE", nargs="*")
    add_batch(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    words = list(args.words)
    if not (len(words) <= 1 if args.batch else 1 <= len(words) <= 2):
        raise ShoalError("Wrong number of parameters")
    context.announces_commit = False
    key = None if args.batch else parse_key(words.pop(0), "Bad key")
    remote = context.session.remote_named(words[0]) if words else None
    if key is None:
        return asyncio.run(_batch(remote, context, nul=args.z))
    present = asyncio.run(_check_one(key, remote, context))
    return _UNKNOWN if present is None else int(not present)


async def _check_one(key: Key, remote: RemoteSettings | None, context: Context) -> bool | None:
    from shoal.annex.network import Network

    async with Network(context.session) as network:
        return await _check(key, remote, network, context)


async def _batch(remote: RemoteSettings | None, context: Context, *, nul: bool) -> int:
    from shoal.annex.network import Network

    async with Network(context.session) as network:
        lines = read_batch(nul)
        while (line := await asyncio.to_thread(next, lines, None)) is not None:
            present = await _check(parse_key(line, "Bad key"), remote, network, context)
            context.out.line("1" if present else "0")
            context.out.flush()
    return 0


async def _check(
    key: Key, remote: RemoteSettings | None, network: Network, context: Context
) -> bool | None:
    from shoal.annex.checking import is_present_anywhere, unable_to_check

    if remote is not None:
        try:
            return await network.open(remote).check_present(key)
        except (RemoteError, ConfigError) as error:
            context.out.say(unable_to_check(error, remote))
            return None
    present, silent = await is_present_anywhere(network, key)
    for name in silent:
        context.out.say(f"unable to check {name}")
    return present

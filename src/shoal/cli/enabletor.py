"""`shoal enable-tor`: let peers reach this repository as a hidden service of tor.

Tor's configuration belongs to root: a user's command runs itself as root, with the user's id. As
root it makes nothing else in the repository than the record of the address.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser
from shoal.cli.context import Context, override_git_config
from shoal.cli.output import Item
from shoal.errors import RemoteUnavailable, ShoalError, UsageError

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.p2paddress import TorAddress

_ATTEMPTS = 150
_PAUSE = 2.0  # seconds between them
_COMMAND = "enable-tor"
_OF_ROOT = "You will be prompted for root's password"
_OF_USER = "You may be prompted for your password"
_OF_SOMEBODY = "You may be prompted for a password"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("uid", nargs="?", help="your user id, when root runs this for you")


def run(args: argparse.Namespace, context: Context) -> int:
    if os.geteuid() == 0:
        context.commits = False
        return _as_root(args.uid, context)
    return enable(context)


def enable(context: Context) -> int:
    """Enable the hidden service as a user, and see whether it can be reached."""
    if os.geteuid() == 0:
        raise ShoalError("Cannot run this command as root.")
    repository = context.repository
    with context.out.item(command=_COMMAND) as item:
        _become_root(item)
        item.long_note(
            "Tor hidden service is configured. Checking connection to it. This may take a few"
            " minutes."
        )
        _check(repository, item)
        item.long_note("Tor hidden service is working.")
    return context.out.exit_code


def _as_root(word: str | None, context: Context) -> int:
    """Add the service for the user whose id `word` is."""
    from shoal.git.p2pcreds import P2PCredentials
    from shoal.server.hiddenservice import Tor

    if word is None or not (word.isascii() and word.isdecimal()):
        raise UsageError("Need user-id parameter.")
    override_git_config(["safe.directory=*"])  # it is the user's, who wants this
    repository = context.found_repository
    if not repository.is_initialised:
        raise ShoalError("This can only be run in a git-annex repository.")
    address = Tor().add(repository.uuid, int(word))
    credentials = P2PCredentials(repository)
    credentials.add_address(address)
    credentials.give_to_owner()
    return 0


def _become_root(item: Item) -> None:
    words = [os.path.abspath(sys.argv[0]), _COMMAND, str(os.geteuid())]
    chosen = root_command(words, os.getcwd(), os.environ, at_terminal=sys.stdin.isatty())
    if chosen is not None:
        item.long_note(chosen[0])
        if subprocess.run(chosen[1], check=False).returncode == 0:
            return
    raise ShoalError(f"Failed to run as root: {' '.join(words)}")


def root_command(
    words: list[str], directory: str, environment: Mapping[str, str], *, at_terminal: bool
) -> tuple[str, list[str]] | None:
    """Give how a command can be run as root, after what the user should know of passwords; None
    when no program for that is in the PATH. The programs are those that git-annex tries."""
    text = shlex.join(words)
    graphical = [
        (_OF_SOMEBODY, ["gksu", text]),
        (_OF_SOMEBODY, ["kdesu", "-c", text]),
        (_OF_SOMEBODY, ["pkexec", "sh", "-c", f"cd {shlex.quote(directory)} && {text}"]),
        (_OF_SOMEBODY, ["su-to-root", "-X", "-c", text]),
    ]
    console = [
        (_OF_ROOT, ["su", "-c", text]),
        (_OF_USER, ["sudo", *words]),
        (_OF_SOMEBODY, ["su-to-root", "-c", text]),
    ]
    known = graphical if environment.get("DISPLAY") or not at_terminal else []
    path = environment.get("PATH")
    return next((one for one in [*known, *console] if shutil.which(one[1][0], path=path)), None)


def _check(repository: Repository, item: Item) -> None:
    """Wait until the hidden service can be reached through tor. Raises ShoalError."""
    import asyncio

    from shoal.git.p2pcreds import P2PCredentials
    from shoal.values.p2paddress import TorAddress

    found = P2PCredentials(repository).addresses()
    address = next((one for one in found if isinstance(one, TorAddress)), None)
    if address is None:
        raise ShoalError("Somehow didn't get an onion address.")
    asyncio.run(_reach(repository, address, item))


async def _reach(repository: Repository, address: TorAddress, item: Item) -> None:
    import asyncio

    from shoal.remotes.p2psocket import connect
    from shoal.server.remotedaemon import answer_only

    async with answer_only(repository, address):
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(_PAUSE)
            try:
                stream = await connect(address, str(address))
            except RemoteUnavailable as error:
                item.warning(
                    "Unable to connect to hidden service. It may not yet have propagated to the"
                    f" Tor network. ({error.cause}) Will retry.."
                )
            else:
                await stream.aclose()
                return
    raise ShoalError(
        "Still unable to connect to hidden service. It might not yet be usable by others. Please"
        " check Tor's logs for details."
    )

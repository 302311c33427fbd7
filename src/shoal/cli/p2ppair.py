"""`shoal p2p --pair`: make this repository and another one remotes of each other.

Both users tell each other a code. Each repository sends half of a token and its addresses; the
halves make two tokens, one for each direction.
"""

from __future__ import annotations

import secrets
import sys
import time
from typing import TYPE_CHECKING

from shoal.annex.wormhole import ReceiveFailed, exchange, is_installed, read_code
from shoal.cli.context import Context
from shoal.cli.output import Item, Output, Subject
from shoal.cli.p2plink import connect
from shoal.errors import ShoalError
from shoal.git.p2pcreds import P2PCredentials
from shoal.values.p2paddress import P2PAddress, parse_address, parse_token

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_HALF = 32  # bytes, which are twice as many characters
_ATTEMPTS = 100
_PAUSE = 2.0  # seconds between two; the other is at the same


def pair(name: str, context: Context) -> int:
    """Pair with another repository, which becomes the remote `name`."""
    ours = P2PCredentials(context.repository).addresses()
    if not ours:
        raise ShoalError(
            "No P2P networks are currently available.",
            hint="Enable one with: shoal p2p --enable NAME",
        )
    if not is_installed():
        raise ShoalError(
            "Magic Wormhole is not installed, and is needed for pairing. Install it from your"
            " distribution or from https://github.com/warner/magic-wormhole/"
        )
    if name in context.repository.config.remotes():
        raise ShoalError(f"there is already a remote named {name}")
    with context.out.item(Subject(text=name), command="p2p pair") as item:
        item.note("using Magic Wormhole")
        _pair(name, ours, context, item)
    return context.out.exit_code


def _pair(name: str, ours: list[P2PAddress], context: Context, item: Item) -> None:
    half, out = secrets.token_hex(_HALF), context.out
    sent = "".join(f"{line}\n" for line in (half, *ours))
    received = exchange(sent.encode("utf-8", "surrogateescape"), lambda code: _ask(out, code))
    their_half, theirs = _understand(received)
    out.line(f"Successfully exchanged pairing data. Connecting to {name}...")
    out.flush()
    credentials = P2PCredentials(context.repository)
    for address in ours:
        credentials.allow_token(address, half + their_half)
    _connect(context.repository, name, theirs, their_half + half, out)


def _understand(received: bytes) -> tuple[str, list[P2PAddress]]:
    """Read half of a token and addresses. Raises ReceiveFailed."""
    half, *lines = received.decode("utf-8", "surrogateescape").splitlines() or [""]
    try:
        return parse_token(half), [parse_address(line) for line in lines]
    except ValueError as error:
        raise ReceiveFailed("Failed receiving data from pair.") from error


def _connect(
    repository: Repository, name: str, theirs: list[P2PAddress], token: str, out: Output
) -> None:
    """Make the first of the other's addresses where it answers the remote."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE)
            out.line(f"Unable to connect to {name}. Retrying...")
            out.flush()
        for address in theirs:
            try:
                connect(repository, name, address, token)
            except ShoalError:
                continue
            return
    raise ShoalError(f"Failed linking to pair: Unable to connect to {name}.")


def _ask(out: Output, ours: str) -> str:
    """Show our code, and ask for the other's. Raises ShoalError when none is entered."""
    out.line(f"\n\nThis repository's pairing code is: {ours}\n")
    while True:
        out.write("Enter the other repository's pairing code: ")
        out.flush()
        typed = sys.stdin.readline()
        if not typed:
            raise ShoalError("Nothing entered, giving up.")
        try:
            theirs = read_code(typed)
        except ValueError:
            out.line("That does not look like a valid pairing code. Try again...")
            continue
        if theirs != ours:
            out.line("Exchanging pairing data...")
            out.flush()
            return theirs
        out.line(
            "Oops -- You entered this repository's pairing code. Enter the pairing code of the"
            " *other* repository."
        )

"""What a repository knows of peer-to-peer networks: its own addresses, who may use them, and the
tokens that open other repositories.

Everything is below ANNEX/creds, in files of mode 600: `p2paddrs` has an address a line,
`p2pauth` a token a line, which on other networks than tor is followed by the address that it is
for, and for each peer there is a file with the token that it wants. Source: on-disk behaviour
of git-annex 10.20261026.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

from shoal.values.p2paddress import NetAddress, P2PAddress, parse_address, parse_token

if TYPE_CHECKING:
    from shoal.git.repository import Repository

TOKEN_VARIABLE = "GIT_ANNEX_P2P_AUTHTOKEN"
_ADDRESSES = "p2paddrs"
_TOKENS = "p2pauth"
_TOKEN_BYTES = 64  # twice as many characters, as git-annex makes them


def new_token() -> str:
    """Make a token that nobody can guess."""
    return secrets.token_hex(_TOKEN_BYTES)


class P2PCredentials:
    """The addresses and tokens of one repository. Files are read each time."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._directory = repository.annex_path("creds")

    def addresses(self) -> list[P2PAddress]:
        """Give the addresses under which this repository can be reached."""
        found = []
        for line in self._lines(_ADDRESSES):
            try:
                found.append(parse_address(line))
            except ValueError:
                continue  # perhaps of a kind that a later git-annex has
        return found

    def add_address(self, address: P2PAddress) -> None:
        """Remember an address of this repository."""
        self._add(_ADDRESSES, str(address))

    def allowed_tokens(self, address: P2PAddress) -> list[str]:
        """Give the tokens that open this repository at `address`."""
        wanted = str(address) if isinstance(address, NetAddress) else ""
        found = []
        for line in self._lines(_TOKENS):
            token, _, place = line.partition(" ")
            try:
                if token and place == wanted:
                    found.append(parse_token(token))
            except ValueError:
                continue
        return found

    def allow_token(self, address: P2PAddress, token: str) -> None:
        """Let those in who come to `address` and know `token`."""
        self._add(_TOKENS, f"{token} {address}" if isinstance(address, NetAddress) else token)

    def token_for(self, address: P2PAddress) -> str:
        """Give the token to show to a peer; "" when none is known. $GIT_ANNEX_P2P_AUTHTOKEN
        comes first."""
        given = os.environ.get(TOKEN_VARIABLE)
        if given is None:
            given = next(iter(self._lines(address.token_file)), "")
        try:
            return parse_token(given.partition("\n")[0])
        except ValueError:
            return ""

    def keep_token(self, address: P2PAddress, token: str) -> None:
        """Remember the token to show to a peer."""
        with self._repository.locker.exclusive(self._repository.lock_path("p2pcreds")):
            self._write(address.token_file, [token])

    def give_to_owner(self) -> None:
        """After root wrote an address: let whoever owns the repository own it."""
        owner = os.stat(self._repository.path)
        directory = self._directory
        addresses = os.path.join(directory, _ADDRESSES)
        lock = self._repository.lock_path("p2pcreds")
        for path in (os.path.dirname(directory), directory, addresses, lock):
            os.chown(path, owner.st_uid, owner.st_gid)

    def _lines(self, name: str) -> list[str]:
        try:
            with open(os.path.join(self._directory, name), "rb") as file:
                return os.fsdecode(file.read()).split("\n")
        except FileNotFoundError:
            return []

    def _add(self, name: str, line: str) -> None:
        """Put a line at the beginning of a file, unless it has it."""
        with self._repository.locker.exclusive(self._repository.lock_path("p2pcreds")):
            lines = [old for old in self._lines(name) if old]
            if line not in lines:
                self._write(name, [line, *lines])

    def _write(self, name: str, lines: Iterable[str]) -> None:
        """Replace a file at once; nobody else can read it at any time."""
        self._repository.make_directory(self._directory)
        path = os.path.join(self._directory, name)
        new = f"{path}.new"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            os.fchmod(fd, 0o600)
            file.write(os.fsencode("".join(f"{line}\n" for line in lines)))
            file.flush()
            os.fsync(fd)
        os.replace(new, path)

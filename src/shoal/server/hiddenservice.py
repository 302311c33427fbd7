"""Hidden services of tor: the one of a repository, in tor's configuration.

Each has a directory of tor's, named for the user and the repository, and a unix socket that tor
connects to when peers come. Source: what git-annex 10.20261026 writes, and finds again.
"""

from __future__ import annotations

import os
import secrets
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from shoal.errors import ShoalError
from shoal.values.p2paddress import TorAddress
from shoal.values.uuid import UUID

_NAME: Final = "tor-annex"
_PORTS: Final = range(1025, 65535)
_RELOADS: Final = (("systemctl", "reload", "tor"), ("service", "tor", "reload"))
_PATIENCE: Final = 120  # looks, a second apart, for the name that tor gives a new service
_NOT_RUNNING: Final = "perhaps the tor service is not running"


@dataclass(frozen=True, slots=True)
class Tor:
    """Where tor is on this machine. The first of the configuration files that is there counts."""

    torrc: tuple[str, ...] = ("/etc/tor/torrc", "/etc/torrc", "/usr/local/etc/tor/torrc")
    services: str = "/var/lib/tor"
    sockets: str = "/var/lib"

    def socket_of(self, uuid: UUID, uid: int) -> str | None:
        """Give the socket of the hidden service that a user's repository has, if there is one."""
        for directory, _, socket in _services(self._lines()):
            if os.path.basename(directory.rstrip("/")).endswith(f"{uid}_{uuid}"):
                return socket
        return None

    def add(self, uuid: UUID, uid: int) -> TorAddress:
        """Give a user's repository a hidden service, if it has none. Needs root. Blocks until tor
        has a name for it.

        Raises ShoalError, OSError.
        """
        path = next((path for path in self.torrc if os.path.isfile(path)), None)
        if path is None:
            raise ShoalError(f"tor is not installed here: there is no file {self.torrc[0]}")
        socket = os.path.join(self.sockets, _NAME, f"{uid}_{uuid}", "s")
        _make_directory(os.path.dirname(socket), uid)
        directory = os.path.join(self.services, f"{_NAME}_{uid}_{uuid}")
        ports = {found: port for _, port, found in _services(self._lines())}
        if socket in ports:
            return TorAddress(_name_in(directory, 1), ports[socket])
        port = secrets.choice([one for one in _PORTS if one not in ports.values()])
        with open(path, "a") as file:
            file.write(f"\nHiddenServiceDir {directory}\nHiddenServicePort {port} unix:{socket}\n")
        if not any(map(_succeeds, _RELOADS)):
            raise ShoalError(f"failed to reload tor, {_NOT_RUNNING}")
        return TorAddress(_name_in(directory, _PATIENCE), port)

    def _lines(self) -> list[str]:
        for path in self.torrc:
            with suppress(FileNotFoundError, PermissionError), open(path) as file:
                return file.read().splitlines()
        return []


def _services(lines: list[str]) -> Iterator[tuple[str, int, str]]:
    """Give directory, port and socket of the hidden services that lead to a unix socket."""
    directory = ""
    for words in map(str.split, lines):
        match words:
            case ["HiddenServiceDir", path]:
                directory = path
            case ["HiddenServicePort", port, place] if place.startswith("unix:"):
                if port.isascii() and port.isdecimal():
                    yield directory, int(port), place.removeprefix("unix:")


def _make_directory(path: str, uid: int) -> None:
    """Make a directory where the user can make the socket."""
    os.makedirs(path, exist_ok=True)
    os.chown(path, uid, -1)
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | stat.S_IRWXU)


def _succeeds(words: tuple[str, ...]) -> bool:
    try:
        return subprocess.run(words, check=False, stdin=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def _name_in(directory: str, looks: int) -> str:
    """Give the name that tor writes into a service's directory. Raises ShoalError."""
    for look in range(looks):
        if look:
            time.sleep(1)
        with suppress(OSError), open(os.path.join(directory, "hostname")) as file:
            name = file.read()
            if name.endswith(".onion\n"):
                return name.partition("\n")[0]
    raise ShoalError(f"tor failed to create hidden service, {_NOT_RUNNING}")

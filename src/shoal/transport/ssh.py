"""ssh command lines as git-annex makes them; nothing is run here.

Source: what git-annex 10.20261026 runs (recorded in tests/fixtures/p2p/ssh-client.json), and
git's man page for what the urls mean.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from shoal.errors import ConfigError
from shoal.values.uuid import UUID

SCHEMES = frozenset({"ssh", "git+ssh", "ssh+git"})
_SOCKET_LIMIT = 100 - 17  # bytes of a path; ssh adds a random ending of 17 while it connects
_LONG = 32  # characters of a socket's name
_SCP = re.compile(
    r"(?:(?P<user>[^@/]*)@)?(?:\[(?P<bracketed>[^]]*)\]|(?P<host>[^:/]*)):(?P<path>.*)"
)


@dataclass(frozen=True, slots=True)
class SshPlace:
    """A directory on another machine. `host` is USER@HOST where there is a user."""

    host: str
    port: int | None
    path: str

    @classmethod
    def parse(cls, url: str) -> SshPlace:
        """Read `ssh://[USER@]HOST[:PORT]/PATH` or `[USER@]HOST:PATH`. Raises ConfigError."""
        if "://" in url:
            parts = urlsplit(url)
            try:
                port = parts.port
            except ValueError as error:
                raise ConfigError(f"bad port in the url {url}") from error
            host, path = _host(parts.netloc), unquote(parts.path, errors="surrogateescape")
            user = None if parts.username is None else unquote(parts.username)
        else:
            found = _SCP.fullmatch(url)
            if found is None:
                raise ConfigError(f"cannot understand the ssh url {url}")
            user, port, path = found["user"], None, found["path"]
            host = found["host"] if found["bracketed"] is None else found["bracketed"]
            if not path.startswith("/"):
                path = f"/{path}" if path.startswith("~") else f"/~/{path}"
        whole = f"{user}@{host}" if user else host
        if not host or whole.startswith("-"):  # it would be an option of ssh
            raise ConfigError(f"bad host name in the ssh url {url}")
        return cls(whole, port, path or "/")

    def socket_name(self) -> str:
        """Give the name of the socket that shared connections to this host go through."""
        name = self.host if self.port is None else f"{self.host}!{self.port}"
        name = name.replace("%", "")
        return name if len(name) <= _LONG else hashlib.md5(os.fsencode(name)).hexdigest()


def _host(netloc: str) -> str:
    """Give the host as it is written: urlsplit() would make it lower case."""
    host = netloc.rpartition("@")[2]
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


@dataclass(frozen=True, slots=True)
class SshProgram:
    """How ssh is to be run.

    `git_ssh`: words of a program that git itself would run, which gets no options
    (GIT_ANNEX_USE_GIT_SSH). `socket`: where connections are shared, "" to share none.
    """

    options: tuple[str, ...] = ()
    socket: str = ""
    git_ssh: tuple[str, ...] = ()

    def words(self, place: SshPlace, command: str, *, reads_stdin: bool = True) -> list[str]:
        """Give the command line that runs `command` on `place`'s machine."""
        port = [] if place.port is None else ["-p", str(place.port)]
        if self.git_ssh:
            return [*self.git_ssh, place.host, *port, command]
        no_input = [] if reads_stdin else ["-n"]
        return ["ssh", place.host, *self._sharing(), *self.options, *port, *no_input, "-T", command]

    def stop_words(self) -> list[str]:
        """Give the command line that ends the shared connection; run it in the socket's
        directory, where its name cannot be too long. (A socket `none` would be no socket.)"""
        socket = os.path.join(".", os.path.basename(self.socket))
        return ["ssh", "-O", "stop", "-S", socket, *_SHARE, "localhost"]

    def _sharing(self) -> Sequence[str]:
        return ["-S", self.socket, *_SHARE] if self.socket else []


_SHARE = ("-o", "ControlMaster=auto", "-o", "ControlPersist=yes")


def fits_a_socket(path: str) -> bool:
    """Tell whether a path is short enough for a socket of ssh."""
    return len(os.fsencode(path)) <= _SOCKET_LIMIT


def shell_command(
    place: SshPlace,
    subcommand: str,
    *words: str,
    shell: str | None = None,
    server: UUID | None = None,
) -> str:
    """Give the command line of git-annex-shell for the other machine's shell.

    `shell` is a replacement for its name, taken as it is; `server` the repository that must be
    the one that is there, or that is proxied for.
    """
    quoted = [_quoted(word) for word in (subcommand, place.path, *words)]
    uuid = [] if server is None else ["--uuid", str(server)]
    return " ".join([shell or "git-annex-shell", *quoted, *uuid])


def _quoted(word: str) -> str:
    """Quote for a POSIX shell, also what needs no quotes."""
    return "'" + word.replace("'", "'\"'\"'") + "'"


def git_ssh_from(environment: dict[str, str]) -> tuple[str, ...]:
    """Give the words of the program that the environment says to run in the place of ssh."""
    if environment.get("GIT_ANNEX_USE_GIT_SSH") != "1":
        return ()
    command = environment.get("GIT_SSH_COMMAND")
    if command:
        return ("sh", "-c", f'{command} "$@"', *shlex.split(command)[:1])
    program = environment.get("GIT_SSH")
    return (program,) if program else ()

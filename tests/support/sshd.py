"""A real sshd on loopback, for which the tests' user needs no rights beyond its own.

Which program is at the other end depends on the name that a client connects to: `shoal`
(shoal-shell), `real` (git-annex-shell) and `none` (neither is installed there), each with a key
of its own and a forced command in authorized_keys. `stranger` has a key that the server does not
know, `changed` another host key than it had, `closed` is a port where nobody listens.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support.gateway import free_port, takes_connections
from tests.support.wait import wait_until
from tests.support.world import World

_SSHD = "/usr/sbin/sshd"
_NEEDED = Path("/run/sshd")  # sshd of the superuser does not start without this directory
_KEPT = ("HOME", "PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "LC_ALL")
_SHELLS = {"shoal": "shoal-shell -c", "real": "git-annex-shell -c"}

_SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 100
MaxSessions 50
LogLevel VERBOSE
"""
_CLIENT = """\
Host changed
    HostKeyAlias changed
Host closed
    Port {closed}
Host shoal real none stranger changed closed
    HostName 127.0.0.1
    Port {port}
    HostKeyAlias sshd
    UserKnownHostsFile {directory}/known_hosts
    StrictHostKeyChecking yes
    IdentitiesOnly yes
    IdentityFile {directory}/%n
    IdentityAgent none
"""
_LOGIN = """\
#!/bin/sh
# What sshd runs for whoever has this key: a login shell with the tests' environment.
{environment}
printf '%s\\n' "$SSH_ORIGINAL_COMMAND" >> {log}
{run}
"""


class Sshd:
    """A running server; clients in this environment find it by the names above."""

    def __init__(
        self, world: World, monkeypatch: pytest.MonkeyPatch, shells: Mapping[str, str] = _SHELLS
    ) -> None:
        """`shells` run a command, by the name that a client connects to."""
        self.world = world
        self._shells = shells
        self.monkeypatch = monkeypatch
        self.directory = world.root / "sshd"
        self.directory.mkdir(mode=0o700)
        self.port = free_port()
        self.log = self.directory / "commands"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._install_client()  # before the logins are made: what they run may use ssh, too
        self._make_keys()
        settings = self.directory / "sshd_config"
        settings.write_text(_SERVER.format(port=self.port, directory=self.directory))
        if os.geteuid() == 0:
            _NEEDED.mkdir(mode=0o755, exist_ok=True)
        with (self.directory / "sshd.log").open("wb") as log:
            self._process = subprocess.Popen(
                [_SSHD, "-D", "-e", "-f", settings], stdin=subprocess.DEVNULL, stderr=log
            )
        wait_until(self._answers)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for left in self.sockets():  # the real program leaves some
            self.world.run("ssh", "-O", "exit", "-S", left, "localhost", check=False)
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "sshd.log").read_text()
        return takes_connections(self.port)

    def _make_keys(self) -> None:
        known = []
        for name in ("host", "other", *self._shells, "none", "stranger", "changed", "closed"):
            path = self.directory / name
            self.world.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
            login = self._login(name)
            if login is not None:
                key = path.with_suffix(".pub").read_text()
                known.append(f'restrict,command="{login}" {key}')
        (self.directory / "authorized_keys").write_text("".join(known))
        host, other = ((self.directory / f"{name}.pub").read_text() for name in ("host", "other"))
        (self.directory / "known_hosts").write_text(f"sshd {host}changed {other}")

    def _login(self, name: str) -> Path | None:
        """Make what is run for the owner of a key; None for a key that opens nothing."""
        if name not in self._shells and name != "none":
            return None
        shell = self._shells.get(name)
        run = "exit 127" if shell is None else f'exec {shell} "$SSH_ORIGINAL_COMMAND"'
        environment = "\n".join(
            f"export {key}={shlex.quote(os.environ[key])}" for key in _KEPT if key in os.environ
        )
        path = self.directory / f"login-{name}"
        path.write_text(_LOGIN.format(environment=environment, log=self.log, run=run))
        path.chmod(0o755)
        return path

    def _install_client(self) -> None:
        """Put an ssh first in PATH that reads our configuration: the real one looks for the
        user's in the directory that the password file says."""
        config = self.directory / "config"
        config.write_text(
            _CLIENT.format(port=self.port, directory=self.directory, closed=free_port())
        )
        ssh = shutil.which("ssh")
        assert ssh is not None
        commands = self.directory / "bin"
        commands.mkdir()
        (commands / "ssh").write_text(f'#!/bin/sh\nexec {ssh} -F {config} "$@"\n')
        (commands / "ssh").chmod(0o755)
        self.monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")

    def commands(self) -> list[str]:
        """Give what clients wanted to be run, so far."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def clone(self, repo: Path, host: str, name: str = "client") -> Path:
        """Clone `repo` over ssh."""
        client = self.world.root / name
        self.world.run("git", "clone", "-q", f"ssh://{host}{repo}", client)
        return client

    def sockets(self) -> list[Path]:
        """Give the sockets of shared connections that clients have left open."""
        return [path for path in self.world.root.glob("*/.git/annex/ssh/*") if path.is_socket()]

    def connections(self) -> int:
        """Give how many connections were accepted, not counting those without a login."""
        log = (self.directory / "sshd.log").read_text()
        return log.count("Accepted publickey")

"""A real sshd on loopback, for which no rights are needed: nodes behind it cost what they cost.

The name of the host that a client connects to says which shell runs its commands.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.clusters import Server, free_port, run, wait_for

_SSHD = "/usr/sbin/sshd"
_NEEDED = Path("/run/sshd")  # sshd of the superuser does not start without this directory
_KEPT = ("HOME", "PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "LC_ALL")
_ENDING = 10  # seconds that a shared connection may take to end

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
MaxStartups 1000
MaxSessions 1000
LogLevel ERROR
"""
_CLIENT = """\
Host *
    HostName 127.0.0.1
    Port {port}
    HostKeyAlias sshd
    UserKnownHostsFile {directory}/known_hosts
    IdentitiesOnly yes
    IdentityFile {directory}/%n
    IdentityAgent none
"""


@contextlib.contextmanager
def sshd(directory: Path, shells: Sequence[str]) -> Iterator[Server]:
    """Run sshd with a host for each of `shells`, which clients of this process find."""
    directory.mkdir(mode=0o700)
    port = free_port()
    _install_client(directory, port)
    _make_keys(directory, shells)
    settings = directory / "sshd_config"
    settings.write_text(_SERVER.format(port=port, directory=directory))
    if os.geteuid() == 0:
        _NEEDED.mkdir(mode=0o755, exist_ok=True)
    process = subprocess.Popen([_SSHD, "-D", "-e", "-f", str(settings)], stdin=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield Server(port, process)
    finally:
        process.terminate()
        process.wait()


def _install_client(directory: Path, port: int) -> None:
    """Put an ssh first in PATH that knows these hosts."""
    ssh = shutil.which("ssh")
    if ssh is None:
        raise RuntimeError("ssh is not installed")
    config = directory / "config"
    config.write_text(_CLIENT.format(port=port, directory=directory))
    commands = directory / "bin"
    commands.mkdir()
    (commands / "ssh").write_text(f'#!/bin/sh\nexec {ssh} -F {config} "$@"\n')
    (commands / "ssh").chmod(0o755)
    os.environ["PATH"] = f"{commands}:{os.environ['PATH']}"


def _make_keys(directory: Path, shells: Sequence[str]) -> None:
    environment = [f"export {key}={shlex.quote(os.environ[key])}" for key in _KEPT]
    logins = []
    for name in ("host", *shells):
        path = directory / name
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
        if name == "host":
            continue
        login = directory / f"login-{name}"
        command = f'exec {name} -c "$SSH_ORIGINAL_COMMAND"'
        login.write_text("\n".join(["#!/bin/sh", *environment, command, ""]))
        login.chmod(0o755)
        key = path.with_suffix(".pub").read_text()
        logins.append(f'restrict,command="{login}" {key}')
    (directory / "authorized_keys").write_text("".join(logins))
    (directory / "known_hosts").write_text(f"sshd {(directory / 'host.pub').read_text()}")


def shared_connections(gateway: Path) -> list[int]:
    """Give the processes of ssh through which the connections of a gateway go: they are no
    children of it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            title = (process / "cmdline").read_bytes()  # with the socket, from where it was begun
            if b"[mux]" in title and str(gateway) in f"{os.readlink(process / 'cwd')} {title!r}":
                found.append(int(process.name))
    return found


def end_shared_connections(gateway: Path) -> None:
    """End what the real program leaves behind."""
    for socket in (gateway / ".git" / "annex" / "ssh").glob("*"):
        if socket.is_socket():
            words = ["ssh", "-O", "exit", "-S", str(socket), "localhost"]
            subprocess.run(words, check=False, capture_output=True)
    deadline = time.monotonic() + _ENDING
    while shared_connections(gateway) and time.monotonic() < deadline:
        time.sleep(0.05)

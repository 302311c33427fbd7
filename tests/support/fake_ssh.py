"""ssh to this machine: the login shell is shoal-shell at the host `server`, and git-annex's at the
host `real`."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.world import World

_SSH = """\
#!/bin/sh
# Called by git and git-annex as: HOST [OPTION...] COMMAND.
for word; do
    case "$word" in server|real) known=$word;; esac
    command=$word
done
test "$known" || exit 255
export SSH_DEPTH=$((SSH_DEPTH + 1))
test $SSH_DEPTH -gt {deepest} && exit 255
echo "$command" >> {log}
test "$known" = server && exec {server} "$command"
exec sh -c "$command"
"""

DEEPEST = 6
"""Connections in a row, after which there are no more: gateways that call each other must end."""


@dataclass
class Ssh:
    """What stands in for ssh."""

    world: World
    monkeypatch: pytest.MonkeyPatch

    @property
    def log(self) -> Path:
        return self.world.root / "ssh.log"

    def install(self, server: str = "shoal-shell -c") -> None:
        """`server` runs a command at the host of this name."""
        script = self.world.root / "ssh"
        script.write_text(_SSH.format(log=self.log, server=server, deepest=DEEPEST))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        self.monkeypatch.setenv("GIT_SSH_COMMAND", str(script))
        self.monkeypatch.setenv("GIT_ANNEX_USE_GIT_SSH", "1")

    def commands(self) -> list[str]:
        return self.log.read_text().splitlines()

    def clone(self, repo: Path, name: str = "client") -> Path:
        """Clone `repo` over ssh, for the real client."""
        client = self.world.root / name
        self.world.run("git", "clone", "-q", f"ssh://server{repo}", client)
        self.world.annex(client, "init", "-q", name)
        return client

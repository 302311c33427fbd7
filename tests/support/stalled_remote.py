"""An external special remote for the real git-annex whose uploads stall until they may go on.

    slow = StalledRemote(world, repo, "slow", monkeypatch)     # git annex initremote
    copying = Popen(["git-annex", "copy", "--to=slow", "file"])
    slow.wait_until_stalled()
    ...
    slow.go_on()

Uploads open a FIFO for reading, which waits for its writer.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from shoal.values.uuid import UUID
from tests.support.wait import wait_until
from tests.support.world import World

_PROGRAM = """\
#!{python}
import os, shutil, sys

STORE = "{directory}"

def say(*words):
    print(*words, flush=True)

say("VERSION 1")
for line in sys.stdin:
    words = line.rstrip("\\n").split(" ")
    match words:
        case ["INITREMOTE" | "PREPARE" as verb]:
            say(verb + "-SUCCESS")
        case ["TRANSFER", "STORE", key, *file]:
            open(STORE + "/stalled", "w").close()
            open(STORE + "/go").read()
            os.unlink(STORE + "/stalled")
            shutil.copy(" ".join(file), STORE + "/" + key)
            say("TRANSFER-SUCCESS STORE", key)
        case ["CHECKPRESENT", key]:
            there = os.path.exists(STORE + "/" + key)
            say("CHECKPRESENT-" + ("SUCCESS" if there else "FAILURE"), key)
        case _:
            say("UNSUPPORTED-REQUEST")
"""


class StalledRemote:
    """The remote, and how its uploads are let go on."""

    def __init__(
        self, world: World, repo: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", f"{world.root / 'bin'}:{os.environ['PATH']}")
        self._directory = world.root / f"{name}-store"
        self._directory.mkdir()
        os.mkfifo(self._directory / "go")
        program = world.root / "bin" / "git-annex-remote-stalled"
        program.parent.mkdir(exist_ok=True)
        program.write_text(_PROGRAM.format(python=sys.executable, directory=self._directory))
        program.chmod(0o755)
        settings = ("type=external", "externaltype=stalled", "encryption=none")
        world.annex(repo, "initremote", "--quiet", name, *settings)
        self.uuid = UUID(world.git(repo, "config", f"remote.{name}.annex-uuid"))

    def wait_until_stalled(self) -> None:
        """Wait until an upload has begun."""
        wait_until((self._directory / "stalled").exists)

    def go_on(self) -> None:
        """Let the upload that is stalled go on."""
        (self._directory / "go").write_text("")

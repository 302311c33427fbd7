"""Runs of the real git-annex-shell, repeated with shoal-shell."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.world import World, isolated_environment

_FIXTURE = Path(__file__).parent.parent / "fixtures" / "p2p" / "shell-startup.json"
_RUNS = json.loads(_FIXTURE.read_text())["sessions"]
_PRESENT = "SHA256-s40--a6a42b24016956243df60c361da7ddd252b07ea3a45b983e08e296e3a6e42bd0"
_CONTENT = b"fixture content number 015 ............."


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The repositories that the recorded runs name."""
    top = tmp_path_factory.mktemp("shell")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in isolated_environment(top).items():
            patch.setenv(name, value)
        yield _prepared(World(top / "world"))


def _prepared(world: World) -> World:
    repo = world.make("repo")
    world.git(repo, "config", "annex.backend", "SHA256")
    assert world.add(repo, "f", _CONTENT) == _PRESENT
    for name in ("fplain", "fun"):
        world.run("git", "init", "-q", world.root / name)
    world.run("git", "init", "-q", "--bare", world.root / "fbare")
    return world


def _here(text: str, world: World) -> str:
    """Put this machine's names in place of the recording's."""
    uuid = world.git(world.root / "repo", "config", "annex.uuid")
    text = text.replace("55555555-5555-4555-8555-555555555555", uuid)
    text = text.replace("/REPO", str(world.root / "repo")).replace("/BASE", str(world.root))
    return text.replace("<HOSTNAME>", socket.gethostname())


@pytest.mark.parametrize("run", _RUNS, ids=[run["label"] for run in _RUNS])
def test_shell_does_what_the_real_one_did(run: dict[str, Any], places: World) -> None:
    words = ["shoal-shell", *(_here(word, places) for word in run["argv"][1:])]
    limits = {name: _here(value, places) for name, value in run["env"].items()}
    done = subprocess.run(
        words, input=run["stdin"], env={**os.environ, **limits}, capture_output=True,
        encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == run["exit"], done.stderr
    expected = _here(run["stdout"], places)
    if "<NEW-UUID>" in expected:
        uuid = places.git(places.root / "fbare", "config", "annex.uuid")
        expected = expected.replace("<NEW-UUID>", uuid)
    assert done.stdout == expected
    said = re.sub(r"^shoal-shell:", "git-annex-shell:", done.stderr, flags=re.MULTILINE)
    told = _here(run["stderr"], places).strip()
    assert said.strip() == told or (told == "git-annex-shell: bad parameters" and told in said)

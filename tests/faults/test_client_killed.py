"""kill -9 at any moment of a move or a drop loses no content, and the command can be repeated."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shoal.git.repository import Repository
from tests.support.annexrepo import HERE, THERE, git, key_of, make_annex

CONTENT = b"the only copy" * 1000
KEY = key_of(CONTENT)
STEP = 8  # every so many changes of the disk the process is killed once


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`here` and `there`, and a content in `here`."""
    top = tmp_path_factory.mktemp("template")
    there = make_annex(top / "there", bare=True, uuid=THERE)
    here = make_annex(top / "here", uuid=HERE)
    git(top / "here", "config", "remote.there.url", "../there")
    git(top / "here", "config", "remote.there.annex-uuid", THERE)
    here.logs.set_description(HERE, "here")
    incoming = Path(here.annex_path("incoming"))
    incoming.write_bytes(CONTENT)
    here.objects.place(KEY, str(incoming))
    here.logs.set_location(KEY, HERE, True)
    here.branch.commit()
    here.close()
    there.close()
    return top


class Place:
    """A fresh copy of the template."""

    def __init__(self, template: Path, top: Path) -> None:
        self.top = top
        shutil.copytree(template, top, symlinks=True)

    def run(self, *words: str) -> None:
        """Run a command to its end."""
        self.killed_at(10**9, *words)

    def killed_at(self, change: int, *words: str) -> bool:
        """Run a command that is killed before a change of the disk; tell whether it was."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.killed_client",
             str(self.top / "here"), str(change), *words],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in (0, -9), done.stderr
        assert done.returncode == -9 or "done 0" in done.stdout, done.stdout + done.stderr
        return done.returncode == -9

    def holders(self) -> set[str]:
        """Give the repositories that have the content; each must have it whole."""
        found = set()
        for name in ("here", "there"):
            with Repository.open(self.top / name) as repository:
                path = repository.objects.path(KEY)
                if path is not None:
                    assert Path(path).read_bytes() == CONTENT
                    found.add(name)
        return found

    def logged(self) -> set[str]:
        """Give the repositories that `here` believes to have the content."""
        names = {HERE: "here", THERE: "there"}
        with Repository.open(self.top / "here") as repository:
            return {names[uuid] for uuid in repository.logs.locations(KEY)}


def killed_all_along(
    template: Path, tmp_path: Path, prepare: list[list[str]], command: list[str], end: set[str]
) -> int:
    """Kill `command` at every STEPth change of the disk, then run it to its end. Give how often
    it was killed."""
    start = tmp_path / "start"
    first = Place(template, start)
    for words in prepare:
        first.run(*words)
    killed = 0
    while True:
        place = Place(start, tmp_path / f"place{killed}")
        if not place.killed_at(1 + killed * STEP, *command):
            break
        killed += 1
        assert place.holders(), f"the content is lost after {1 + killed * STEP} changes"
        place.run(*command)
        assert place.holders() == place.logged() == end
        shutil.rmtree(place.top)
    assert place.holders() == place.logged() == end
    return killed


def test_a_move_to_a_remote(template: Path, tmp_path: Path) -> None:
    command = ["move", "--to", "there", "--all", "--numcopies=1"]
    assert killed_all_along(template, tmp_path, [], command, {"there"}) > 5


def test_a_move_from_a_remote(template: Path, tmp_path: Path) -> None:
    prepare = [["move", "--to", "there", "--all"]]
    command = ["move", "--from", "there", "--all"]
    assert killed_all_along(template, tmp_path, prepare, command, {"here"}) > 5


def test_a_drop(template: Path, tmp_path: Path) -> None:
    prepare = [["copy", "--to", "there", "--all"]]
    command = ["drop", "--all"]
    assert killed_all_along(template, tmp_path, prepare, command, {"there"}) > 3


def test_a_drop_from_a_remote(template: Path, tmp_path: Path) -> None:
    prepare = [["copy", "--to", "there", "--all"]]
    command = ["drop", "--from", "there", "--all"]
    assert killed_all_along(template, tmp_path, prepare, command, {"here"}) > 3

"""`shoal log` shows of one history what `git annex log` shows, to the byte."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.world import World, isolated_environment

_BEGIN = 1_600_000_000
_KEY = "SHA256E-s4--2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806"


class _Clock:
    """Sets the time of commits and of log lines."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._now = _BEGIN
        self.forward(0)

    def forward(self, seconds: int) -> None:
        self._now += seconds
        for name in ("GIT_COMMITTER_DATE", "GIT_AUTHOR_DATE"):
            self._patch.setenv(name, f"{self._now} +0000")
        self._patch.setenv("GIT_ANNEX_VECTOR_CLOCK", str(self._now))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`here` and `b`, which worked apart and were merged; `bare`, a clone of `here`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in isolated_environment(tmp_path_factory.mktemp("home")).items():
            patch.setenv(name, value)
        world = World(tmp_path_factory.mktemp("log"))
        _make(world, _Clock(patch))
        yield world.root


def _make(world: World, clock: _Clock) -> None:
    here, b = world.make("here"), world.root / "b"
    for name, content in {
        "f1": b"one\n", "d/f2": b"2" * 5000, "sp ace": b"s", "ümläut": b"u", "a\tb": b"tab",
    }.items():  # fmt: skip
        world.add(here, name, content)
    clock.forward(100)
    world.run("git", "clone", "-q", "here", "b")
    world.annex(b, "init", 'bee, "quoted"')
    clock.forward(50)
    world.annex(b, "get", "-q", "f1", "d/f2")
    clock.forward(3600)
    world.git(here, "remote", "add", "b", "../b")
    world.git(here, "fetch", "-q", "b")
    world.annex(here, "drop", "-q", "f1")
    clock.forward(1000)
    world.annex(here, "untrust", "-q", "b")
    clock.forward(86400)
    world.annex(here, "move", "-q", "--to", "b", "d/f2")
    clock.forward(20)
    world.annex(b, "drop", "-q", "--force", "f1")
    clock.forward(100)
    world.git(here, "fetch", "-q", "b")
    world.annex(here, "merge", "-q")
    for command in (["dead", "b"], ["semitrust", "b"], ["get", "d/f2"]):
        clock.forward(100)
        world.annex(here, *command, "-q")
    world.add(here, "gone", b"gone")
    world.git(here, "rm", "-q", "gone")
    world.git(here, "commit", "-qm", "gone")
    world.annex(here, "merge", "-q")
    world.annex(here, "unused", "-q")
    world.run("git", "clone", "-q", "--bare", "here", "bare")
    world.annex(world.root / "bare", "init", "bare", "-q")


_COMMANDS = """
log
log --raw-date
log --json
log --gource
log d --gource "a\tb" "ümläut"
log f1 nosuch
log --max-count 1
log --since 2020-09-14
log f1 --until 2020-09-13T14:00
log --in here --raw-date
log --in nosuch
log --all
log --all --json
log --all --gource --max-count=3
log --all --include=x
log --all f1
log --branch main --gource
log --branch main:d --json
log --unused
log --unused f1
log --key KEY
log --key KEY --include=x
log --sizes
log --sizes --bytes --interval 0
log --sizes --received --interval 1d
log --sizesof b --raw-date
log --sizesof nosuch
log --totalsizes --bytes
log --totalsizes --sizes --received
log --interval 5w
"""


@pytest.mark.parametrize("words", _COMMANDS.strip().splitlines())
def test_same_words_same_answer(place: Path, words: str) -> None:
    _compare(place / "here", words)


@pytest.mark.parametrize("words", ["log f2", "log .. --raw-date"])
def test_in_a_subdirectory(place: Path, words: str) -> None:
    _compare(place / "here/d", words)


@pytest.mark.parametrize("words", ["log", "log --in origin --json", "log f1", "log --sizes"])
def test_in_a_bare_repository(place: Path, words: str) -> None:
    _compare(place / "bare", words)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_dates_are_local(place: Path, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    _compare(place / "here", "log f1")
    _compare(place / "here", "log --sizesof b")


def test_what_is_in_the_journal_is_committed_first(place: Path) -> None:
    here = place / "here"
    world = World(place)
    for program in ("git-annex", "shoal"):
        key = f"SHA256-s3--{program}"
        uncommitted = ("git", "-c", "annex.alwayscommit=false", "annex")
        world.run(*uncommitted, "setpresentkey", key, "u", "1", cwd=here)
        shown = world.run(program, "log", "--all", "--max-count=1", "--raw-date", cwd=here).stdout
        assert re.sub(r"\d{10}", "TIME", shown).endswith(f"+ TIME {key} | u -- u\n")


@pytest.mark.parametrize("words", ["--sizesof b", "--sizes --received --raw-date"])
def test_gnuplot(place: Path, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin/gnuplot"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/ran\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    scripts = []
    for name in ("git-annex", "shoal"):
        done = World(place).run(name, "log", "--gnuplot", *words.split(), cwd=place / "here/d")
        script = (place / "here/.git/annex/gnuplot").read_text()
        scripts.append((done.stdout, re.sub(r"^.*,(?=.*\nEOD)", "NOW", script, flags=re.MULTILINE)))
    assert scripts[1] == scripts[0]
    assert len((tmp_path / "ran").read_text().splitlines()) == 2


def test_without_gnuplot_the_script_is_there(place: Path) -> None:
    done = World(place).run("shoal", "log", "--sizes", "--gnuplot", cwd=place / "here", check=False)
    assert done.returncode == 1
    assert "gnuplot is not installed" in done.stderr
    assert (place / "here/.git/annex/gnuplot").exists()


def _compare(cwd: Path, words: str) -> None:
    answers = []
    for program in ("git-annex", "shoal"):
        command = shlex.split(words.replace("KEY", _KEY))
        done = World(cwd).run(program, *command, cwd=cwd, check=False)
        errors = re.sub(r"^(?:git-annex|shoal): ", "", done.stderr, flags=re.MULTILINE)
        errors = errors.split("\n\nUsage: ")[0].strip("\n")
        answers.append((_without_now(done.stdout), errors, done.returncode))
    assert answers[1] == answers[0]


def _without_now(shown: str) -> str:
    """Take out the time of the last row of sizes, which is when the command ran."""
    *lines, last = shown.split("\n")[:-1] or [""]
    return "\n".join([*lines, re.sub(r"^(?:\d{4}-\d\d-\d\dT[\d:]{8}|\d{10}\.\d+),", "NOW,", last)])

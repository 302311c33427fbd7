"""Actions run one by one or several at once, but never twice on one key."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

import pytest

from shoal.annex.matching import Candidate
from shoal.annex.reporting import Reporter
from shoal.cli.acting import run_action
from shoal.cli.arguments import Parser, add_jobs, add_json
from shoal.cli.context import Context
from shoal.cli.selection import add_selection
from shoal.errors import RemoteRefused
from shoal.values.key import Key
from tests.support.annexrepo import git, key_of, make_annex

ONE, TWO = key_of(b"one"), key_of(b"two")


class Recorder:
    """An action that notes how many keys it worked on at once."""

    def __init__(self) -> None:
        self.running: set[Key] = set()
        self.most = 0
        self.done: list[str] = []

    async def applies(self, candidate: Candidate) -> bool:
        return candidate.path != "skipped"

    async def run(self, candidate: Candidate, reporter: Reporter) -> bool:
        assert candidate.key not in self.running
        self.running.add(candidate.key)
        self.most = max(self.most, len(self.running))
        for _ in range(10):
            await asyncio.sleep(0)
        self.running.remove(candidate.key)
        self.done.append(str(candidate.path))
        if candidate.path == "refused":
            raise RemoteRefused("no")
        return candidate.path != "failing"


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    top = tmp_path / "repo"
    make_annex(top).close()
    monkeypatch.chdir(top)
    return top


def link(top: Path, name: str, key: Key) -> None:
    """Make an annexed file."""
    (top / name).symlink_to(f".git/annex/objects/x/y/{key}/{key}")
    git(top, "add", name)


def act(*words: str) -> tuple[int, Recorder]:
    """Run the recorder as a command; give the exit code and it."""
    parser = Parser("act", "")
    add_selection(parser)
    add_jobs(parser)
    add_json(parser)
    args: argparse.Namespace = parser.parse(words)
    recorder = Recorder()
    context = Context("act", args)
    try:
        return run_action(args, context, lambda network: recorder), recorder
    finally:
        context.abandon()


def test_one_by_one(top: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, key in (("a", ONE), ("b", TWO), ("skipped", ONE)):
        link(top, name, key)
    code, recorder = act()
    assert (code, recorder.done, recorder.most) == (0, ["a", "b"], 1)
    assert capfd.readouterr().out == "act a ok\nact b ok\n"


def test_several_at_once(top: Path) -> None:
    for name, key in (("a", ONE), ("b", TWO), ("c", ONE), ("d", TWO)):
        link(top, name, key)
    code, recorder = act("-J4")
    assert (code, sorted(recorder.done), recorder.most) == (0, ["a", "b", "c", "d"], 2)
    git(top, "config", "annex.jobs", "4")
    assert act()[1].most == 2


def test_failures_are_counted_and_stop_nothing(
    top: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, key in (("failing", ONE), ("refused", TWO), ("z", ONE)):
        link(top, name, key)
    for words in ([], ["-J2"]):
        code, recorder = act("--json", "--json-error-messages", *words)
        assert code == 1
        assert sorted(recorder.done) == ["failing", "refused", "z"]
        records = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
        assert {record["file"]: record["success"] for record in records} == {
            "failing": False,
            "refused": False,
            "z": True,
        }
        errors = [record["error-messages"] for record in records if record["file"] == "refused"]
        assert errors == [["shoal: no"]]

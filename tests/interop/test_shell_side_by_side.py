"""git-annex-shell and shoal-shell under its name: same words, same output, same exit code."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

import pytest

from tests.support.world import World

CASES: list[tuple[str, Mapping[str, str]]] = [
    ("", {}),
    ("-c", {}),
    ("--help", {}),
    ("configlist", {}),
    ("configlist {annex}", {}),
    ("configlist {annex} extra", {}),
    ("configlist {annex} --bogus", {}),
    ("inannex {annex} {key} --bogus=1", {}),
    ("configlist {annex} --uuid", {}),
    ("p2pstdio {annex} --uuid", {}),
    ("recvkey {annex} --force --uuid", {}),
    ("configlist {annex} --uuid wrong", {}),
    ("configlist {annex} --uuid {uuid} --quiet --force", {}),
    ("configlist {annex} -- junk autoinit=0 --", {}),
    ("configlist {plain}", {}),
    ("configlist {plain} --uuid wrong", {}),
    ("configlist /nowhere", {}),
    ("configlist {gcrypt}", {}),
    ("inannex {annex}", {}),
    ("inannex {annex} {key}", {}),
    ("inannex {annex} {absent}", {}),
    ("inannex {annex} {key} {absent}", {}),
    ("inannex {annex} nonsense", {}),
    ("inannex {plain} {key}", {}),
    ("inannex {gcrypt} {key}", {}),
    ("dropkey {annex} {key}", {}),
    ("dropkey {annex} nonsense --force", {}),
    ("dropkey {annex} {absent} --force", {}),
    ("dropkey {annex} --batch", {}),
    ("dropkey {annex} --batch --force", {}),
    ("dropkey {annex} {key} --batch --force", {}),
    ("inannex {annex} --batch", {}),
    ("dropkey {annex} {key} --force", {"READONLY": "1"}),
    ("dropkey {annex} {key} --force", {"APPENDONLY": "1"}),
    ("sendkey {annex}", {}),
    ("sendkey {annex} {absent}", {}),
    ("sendkey {annex} nonsense", {}),
    ("recvkey {annex} nonsense", {}),
    ("recvkey {annex} {absent}", {"READONLY": "1"}),
    ("gcryptsetup {annex}", {}),
    ("gcryptsetup {annex} id", {}),
    ("gcryptsetup {annex} id1 id2", {}),
    ("gcryptsetup {gcrypt} :id:1", {}),
    ("gcryptsetup {gcrypt} :id:2", {}),
    ("gcryptsetup {annex} id", {"READONLY": "1"}),
    ("gcryptsetup {annex} id", {"APPENDONLY": "1"}),
    ("notifychanges {annex} extra", {}),
    ("notifychanges {annex} --uuid wrong", {}),
    ("p2pstdio {annex}", {}),
    ("p2pstdio {annex} a b", {}),
    ("p2pstdio {annex} me", {}),
    ("p2pstdio {annex} me --uuid wrong", {}),
    ("p2pstdio {plain} me", {}),
    ("p2pstdio {plain} me --uuid wrong", {}),
    ("nonsense {annex}", {}),
    ("-c|nonsense {annex}", {}),
    ("-c|git-annex-shell", {}),
    ("-c|git-annex-shell 'nonsense' '{annex}'", {}),
    ("-c|git-annex-shell 'configlist' '{annex}'", {}),
    ("-c|git-annex-shell 'configlist' '{annex}", {}),
    ("-c|git-annex-shell inannex {annex} '{key}' --uuid {uuid}", {}),
    ("-c|git-upload-pack '/nowhere'", {}),
    ("-c|git-upload-pack '{annex}'", {"LIMITED": "1"}),
    ("-c|git-upload-pack '{annex}'", {"DIRECTORY": "/elsewhere"}),
    ("configlist {annex}", {"DIRECTORY": "/elsewhere"}),
    ("configlist {annex}/", {"DIRECTORY": "{annex}"}),
]  # fmt: skip
"""Words (one after `|`) and GIT_ANNEX_SHELL_* of each case."""

Places = dict[str, str]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    world = World(tmp_path_factory.mktemp("world"))
    annex = world.make("annex")
    key = world.add(annex, "f", b"content")
    absent = world.add(annex, "g", b"absent")
    world.annex(annex, "drop", "--force", "g")
    for name in ("plain", "gcrypt"):
        world.run("git", "init", "-q", "--bare", world.root / name)
    world.git(world.root / "gcrypt", "config", "core.gcrypt-id", ":id:1")
    commands = world.root / "bin"
    commands.mkdir()
    ours = shutil.which("shoal-shell")
    assert ours is not None
    (commands / "git-annex-shell").symlink_to(ours)
    return {
        "annex": str(annex), "key": key, "absent": absent, "bin": str(commands),
        "uuid": world.git(annex, "config", "annex.uuid"),
        **{name: str(world.root / name) for name in ("plain", "gcrypt")},
    }  # fmt: skip


def _run(
    text: str, limits: Mapping[str, str], places: Places, *, ours: bool
) -> subprocess.CompletedProcess[str]:
    words = [part.format(**places) for part in text.split("|")]
    words = words[0].split() + words[1:]
    env = dict(os.environ)
    env |= {f"GIT_ANNEX_SHELL_{name}": value.format(**places) for name, value in limits.items()}
    program = f"{places['bin']}/git-annex-shell" if ours else "git-annex-shell"
    return subprocess.run(
        [program, *words], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("text", "limits"), CASES)
def test_same_answer(text: str, limits: Mapping[str, str], places: Places) -> None:
    real, ours = (_run(text, limits, places, ours=ours) for ours in (False, True))
    assert (ours.returncode, ours.stdout) == (real.returncode, real.stdout)
    assert _plain(ours.stderr) == _plain(real.stderr)


def _plain(said: str) -> list[str]:
    """Give the lines without white space at their ends, which has no meaning."""
    return [line.rstrip() for line in said.strip().splitlines()]

"""A repository's preferences are those that the real program finds in the same repository."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from shoal.git.preferences import Preferences
from shoal.git.repository import Repository
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.world import World

REPOS = [UUID(f"{digit * 8}-0000-4000-8000-000000000000") for digit in "abcd"]
EXPRESSIONS = [
    "include=*.txt or largerthan=1kb",
    "exclude=sub/* and not copies=2",
    "copies=pool:2",
    "copies=semitrusted+:1",
    "lackingcopies=1",
    "lackingcopies=2",
    "approxlackingcopies=1",
    "lackingcopies=pool:1",
    "inallgroup=pool",
    "onlyingroup=pool",
    "metadata=tag=work and not metadata=year>2000",
    "metadata=lastchanged=20*",
    "url=*example.com/1*",
    "present or inpreferreddir",
    "balanced=pool",
    "balanced=pool:2",
    "sizebalanced=pool:1",
    "fullysizebalanced=pool:2",
    "fullybalanced=pool:lackingcopies",
    "balanced=pool:lackingcopies",
    "groupwanted",
    "standard",
    "not present",
]


def _make(world: World) -> Path:
    repo = world.make("r")
    dice = random.Random(5)
    for number in range(10):
        name = ("sub/" if number % 3 == 0 else "public/" if number % 3 == 1 else "") + (
            f"{number}.{'txt' if number % 2 else 'bin'}"
        )
        path = repo / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(dice.randbytes(dice.choice([10, 900, 1500, 40_000])))
    (repo / ".gitattributes").write_text("*.txt annex.numcopies=3\n")
    world.git(repo, "add", ".gitattributes")
    world.annex(repo, "add", "--quiet", ".")
    world.git(repo, "commit", "-q", "-m", "files")
    for uuid in REPOS:
        world.git(repo, "config", f"remote.{uuid[0]}.url", "/nowhere")
        world.git(repo, "config", f"remote.{uuid[0]}.annex-uuid", uuid)
        world.git(repo, "config", f"remote.{uuid[0]}.annex-ignore", "true")
        world.annex(repo, "describe", uuid, f"repo {uuid[0]}")
    for uuid in REPOS[:3]:
        world.annex(repo, "group", uuid, "pool")
        world.annex(repo, "maxsize", uuid, "60kB")
    world.annex(repo, "group", REPOS[3], "archive")
    world.annex(repo, "groupwanted", "pool", "include=*.bin")
    world.annex(repo, "numcopies", "2")
    world.annex(repo, "untrust", REPOS[1])
    _spread(world, repo, dice)
    return repo


def _spread(world: World, repo: Path, dice: random.Random) -> None:
    """Say where keys are, and things about them."""
    for number, line in enumerate(sorted(world.annex(repo, "find").split())):
        key = world.annex(repo, "lookupkey", line).strip()
        for uuid in REPOS:
            if dice.random() < 0.4:
                world.annex(repo, "setpresentkey", key, uuid, "1")
        if number % 2:
            world.annex(
                repo, "metadata", "-q", "-s", "tag=Work", "-s", f"year={1998 + number}", line
            )
        if number % 3 == 0:
            world.annex(repo, "registerurl", key, f"http://example.com/{number}")


@pytest.mark.parametrize("rebalance", [False, True])
def test_wanting_and_letting_go_agree(world: World, rebalance: bool) -> None:
    repo = _make(world)
    option = ["--rebalance"] if rebalance else []
    expressions = [e for e in EXPRESSIONS if "balanced" in e] if rebalance else EXPRESSIONS
    with Repository.open(repo) as repository:
        preferences = Preferences(repository)
        keys = {
            file: Key.parse(world.annex(repo, "lookupkey", file).strip().encode())
            for file in world.annex(repo, "find", "--anything").split()
        }
        for expression, uuid in zip(expressions, itertools.cycle(REPOS), strict=False):
            world.annex(repo, "wanted", uuid, expression)
            repository.refresh()
            for listed, asked in (
                (f"--want-get-by={uuid}", preferences.wants),
                (f"--want-drop-by={uuid}", preferences.lets_go),
            ):
                theirs = world.annex(repo, "find", "--anything", listed, *option).split()
                ours = [
                    file
                    for file, key in keys.items()
                    if asked(uuid, key, file, default=False, rebalance=rebalance)
                ]
                assert sorted(ours) == sorted(theirs), (expression, uuid, listed)


def test_here_presence_is_the_object_file(world: World) -> None:
    """`present` asks the disk for this repository, whatever the location log says."""
    repo = world.make("r")
    key = world.add(repo, "file", b"content")
    world.annex(repo, "wanted", "here", "present")
    with Repository.open(repo) as repository:
        preferences = Preferences(repository)
        here = repository.uuid
        world.annex(repo, "setpresentkey", key, here, "0")
        repository.refresh()
        assert preferences.wants(here, Key.parse(key.encode()), "file", default=False)
        assert world.annex(repo, "find", "--want-get") == "file\n"


def test_required_content_and_unused_keys(world: World) -> None:
    repo = world.make("r")
    key = world.add(repo, "file", b"content")
    world.annex(repo, "required", "here", "include=f*")
    with Repository.open(repo) as repository:
        preferences = Preferences(repository)
        parsed = Key.parse(key.encode())
        assert preferences.requires(repository.uuid, parsed, "file")
        assert not preferences.requires(repository.uuid, parsed, "other")
        assert not preferences.facts(parsed).is_unused()
        world.git(repo, "rm", "-q", "file")
        world.git(repo, "commit", "-q", "-m", "remove")
        world.annex(repo, "unused")
        assert preferences.facts(parsed).is_unused()

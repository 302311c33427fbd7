"""More than one gateway: what `extendcluster` sets up, beside the real program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.fake_ssh import Ssh
from tests.support.gateway import make_gateway
from tests.support.world import World


def _outcome(world: World, program: str, first: Path, name: str) -> list[str]:
    """Extend the first gateway's cluster with `program`; give all that came of it."""
    second = world.root / name
    world.run("git", "clone", "-q", f"ssh://server{first}", second)
    world.annex(second, "init", "-q", "second")
    world.git(second, "remote", "rename", "origin", "ams")
    said = []
    for words in (
        [],
        ["ams", "no"],
        ["no", "mycluster"],
        ["ams", "mycluster"],
        ["ams", "mycluster"],
    ):
        done = world.run(*program.split(), "extendcluster", *words, cwd=second, check=False)
        said += [f"{words} {done.returncode}", *done.stdout.splitlines()]
        said += [line for line in done.stderr.splitlines() if "no available" in line]
    said += world.git(second, "config", "--get-regexp", "cluster").splitlines()
    uuid = world.git(second, "config", "annex.uuid")
    for log in ("proxy.log", "cluster.log"):
        written = world.git(second, "cat-file", "-p", f"git-annex:{log}").replace(uuid, "SECOND")
        said += sorted(re.sub(r"^[\d.]+s ", "", line) for line in written.splitlines())
    return [re.sub(r"^(git-annex|shoal): ", "", line).replace(uuid, "SECOND") for line in said]


def test_extendcluster_is_the_real_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Ssh(world, monkeypatch).install()
    first = make_gateway(world, nodes=1).path
    real = _outcome(world, "git-annex", first, "real")
    ours = _outcome(world, "shoal", first, "ours")
    assert ours == real
    assert "Started proxying for ams-node1" in ours

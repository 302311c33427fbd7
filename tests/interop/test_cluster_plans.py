"""Plans for a cluster go by what the real program says that nodes want."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.gateway import make_gateway
from tests.support.world import World

NODES = ("node1", "node2", "node3")


def planned(world: World, gateway: Path, goal: str) -> dict[str, dict[str, set[str]]]:
    """Give, for each node, the keys that it is to get and to lose."""
    found = {node: {"copy-to": set[str](), "drop-from": set[str]()} for node in NODES}
    shown = world.run("shoal", "cluster", goal, "--dry-run", "--json", cwd=gateway).stdout
    for plan in map(json.loads, shown.splitlines()):
        for what in ("copy-to", "drop-from") if "key" in plan else ():
            for node in plan[what]:
                found[node["name"]][what].add(plan["key"])
    return found


def listed(world: World, gateway: Path, *words: str) -> set[str]:
    """Give the keys that the real program finds."""
    return set(world.annex(gateway, "find", "--format=${key}\\n", *words).splitlines())


def test_who_gets_and_loses_what(world: World) -> None:
    """Without limits of size, a rebalance copies what `--want-get-by` lists with --rebalance,
    and drops what `--want-drop-by` lists. Healing copies every key that is listed without it;
    but nodes decide in turn, so the second of two that lack the same copy does not get it."""
    gateway = make_gateway(world).path
    for name in NODES:
        world.annex(gateway, "group", name, "store")
        world.annex(gateway, "wanted", name, "balanced=store:2")
    for number in range(18):
        (gateway / f"file{number}").write_text(f"content {number}\n")
    world.annex(gateway, "add", "--quiet", ".")
    world.git(gateway, "commit", "-q", "-m", "files")
    for name, files in zip(NODES, ("file[0-5]", "file[4-9]", "file1?"), strict=True):
        world.annex(gateway, "copy", "--to", name, *map(str, gateway.glob(files)))

    rebalanced, healed = (planned(world, gateway, goal) for goal in ("rebalance", "heal"))
    for name in NODES:
        lacks, has = ("--not", f"--in={name}"), (f"--in={name}",)
        get, drop = f"--want-get-by={name}", f"--want-drop-by={name}"
        assert rebalanced[name] == {
            "copy-to": listed(world, gateway, "--rebalance", get, *lacks),
            "drop-from": listed(world, gateway, "--rebalance", drop, *has),
        }
        assert healed[name]["drop-from"] == set()
        assert rebalanced[name]["copy-to"]
    assert any(rebalanced[name]["drop-from"] for name in NODES)
    wanted = [listed(world, gateway, f"--want-get-by={n}", "--not", f"--in={n}") for n in NODES]
    copied = [healed[name]["copy-to"] for name in NODES]
    assert all(ours <= theirs for ours, theirs in zip(copied, wanted, strict=True))
    assert set().union(*copied) == set().union(*wanted)

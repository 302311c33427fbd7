"""In random networks repositories get what `git annex sim` says that they would.

SHOAL_NETWORKS=1000 tries as many networks, at about a second of processor time each. What looks
into .gitattributes (lackingcopies) is left out: that ends the simulation.
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shoal.preferred.policy import Policy
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.facts import DictFacts
from tests.support.world import World

_NETWORKS = int(os.environ.get("SHOAL_NETWORKS", "5"))
_NAMES = ["a", "b", "c", "d"]
_GROUPS = ["g", "h"]
_FILES = ["x.txt", "y.dat", "sub.jpg"]
_TERMS = [
    *("anything", "nothing", "present", "include=*.txt", "exclude=*.dat", "largerthan=5mb"),
    *("smallerthan=1mb", "copies=2", "copies=3", "copies=g:1", "copies=semitrusted+:2"),
    *("approxlackingcopies=1", "approxlackingcopies=2", "inallgroup=g"),
    *("onlyingroup=h", "inbackend=SHA256E", "securehash", "balanced=g", "balanced=h:2"),
    *("fullybalanced=g:1", "standard", "groupwanted", "copies=1x"),
]
_STEP = "getwanted hub"


@dataclass
class Network:
    """A network, and who has which file so far. Everybody knows what the hub knows."""

    dice: random.Random
    numcopies: int
    groups: dict[str, set[str]]
    wanted: dict[str, str]
    group_wanted: dict[str, str]
    steps: list[str]  # who gets what it wants, in this order
    starts: dict[str, set[str]]  # who has the files of each name at first
    uuids: dict[str, UUID] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    holders: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def random(cls, seed: int) -> Network:
        dice = random.Random(seed)
        return cls(
            dice,
            dice.randint(1, 2),
            {name: {g for g in [*_GROUPS, "archive"] if dice.random() < 0.4} for name in _NAMES},
            {name: _expression(dice) for name in _NAMES},
            {group: _expression(dice) for group in _GROUPS},
            dice.choices(_NAMES, k=8),
            {suffix: {"hub", *dice.sample(_NAMES, dice.randint(0, 3))} for suffix in _FILES},
        )

    def commands(self) -> str:
        """Give the simulation's input."""
        lines = [f"seed {self.dice.randint(1, 10**6)}", f"numcopies {self.numcopies}", "init hub"]
        for name in _NAMES:
            lines += [
                f"init {name}",
                f"connect {name} <-> hub",
                f"wanted {name} {self.wanted[name]}",
            ]
            lines += [f"group {name} {group}" for group in sorted(self.groups[name])]
        lines += [f"groupwanted {group} {text}" for group, text in self.group_wanted.items()]
        for suffix, names in self.starts.items():
            lines.append(f"addmulti 3 {suffix} 1kb 10mb {' '.join(sorted(names))}")
        for name in _NAMES:  # so that all know where the files are
            lines.append(f"action {name} gitpush hub")
        for name in self.steps:
            lines += [f"action {name} {what}" for what in ("gitpull hub", _STEP, "gitpush hub")]
        return "\n".join(lines) + "\n"

    def follow(self, log: str) -> None:
        """Check what the simulation says that happened in each step."""
        name, got = "", set[str]()
        for line in [*log.splitlines(), "end"]:
            word, *rest = line.split()
            if name and word == "present":
                assert rest[0] == name
                got.add(rest[1])
                continue
            if name:
                self._check(name, got)
            name, got = "", set()
            if word == "action" and " ".join(rest[1:]) == _STEP:
                name = rest[0]

    def _check(self, name: str, got: set[str]) -> None:
        assert got == {file for file in self.keys if self._gets(name, file)}, self.wanted[name]
        for file in got:
            self.holders[file].add(name)

    def _gets(self, name: str, file: str) -> bool:
        facts = self._facts(file)
        policy = Policy.of(self.uuids[name], facts)
        return name not in self.holders[file] and policy.wants(facts, default=False)

    def _facts(self, file: str) -> DictFacts:
        return DictFacts(
            key=self.keys[file],
            file=file,
            present_in={self.uuids[name] for name in self.holders[file]},
            groups_of={self.uuids[name]: groups for name, groups in self.groups.items()},
            copies_wanted=self.numcopies,
            copies_wanted_of_file=self.numcopies,
            wanted_texts={self.uuids[name]: text for name, text in self.wanted.items()},
            group_texts=self.group_wanted,
        )


def _expression(dice: random.Random) -> str:
    words = [dice.choice(_TERMS)]
    for _ in range(dice.choice([0, 0, 1, 2])):
        words += [dice.choice(["and", "or", "and not"]), dice.choice(_TERMS)]
    return " ".join(words)


def learn(world: World, repo: Path, network: Network) -> None:
    """Learn what the simulation called repositories and keys."""
    form = "--format=${key} ${file}\\n"
    asked = f"git annex info --fast --json && git annex find --anything '{form}'"
    info, *files = world.annex(repo, "sim", "visit", "hub", asked).strip().splitlines()
    for entry in json.loads(info)["semitrusted repositories"]:
        *simulated, name = entry["description"].split()
        if simulated == ["simulated", "repository"]:
            network.uuids[name] = UUID(entry["uuid"])
    for line in files:
        key, name = line.split(" ", 1)
        network.keys[name] = Key.parse(key.encode())
        network.holders[name] = {*network.starts[name[1:]]}


@pytest.mark.parametrize("seed", range(_NETWORKS))
def test_random_network(world: World, seed: int) -> None:
    repo = world.make("r")
    network = Network.random(seed)
    (repo / "network.sim").write_text(network.commands())
    world.annex(repo, "sim", "start", "network.sim")
    learn(world, repo, network)
    assert len(network.keys) == 3 * len(_FILES)
    network.follow(world.annex(repo, "sim", "show"))

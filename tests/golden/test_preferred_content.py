"""Preferred content decides as the real program did: vectors captured from git-annex 10.20261026.

In each, the expression was given to a repository, and `git annex find --want-get-by` and
`--want-drop-by` listed the files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shoal.errors import ExpressionError
from shoal.logs.trust import TrustLevel
from shoal.preferred.parse import parse
from shoal.preferred.policy import Policy
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.facts import DictFacts

_FIXTURES = Path(__file__).parents[1] / "fixtures" / "preferred-content"
_WORLDS = json.loads((_FIXTURES / "expressions.json").read_text())
_BALANCED = json.loads((_FIXTURES / "balanced.json").read_text())


def _cases() -> Iterator[Any]:
    for number, world in enumerate(_WORLDS):
        for at, case in enumerate(world["cases"]):
            yield pytest.param(world, case, id=f"{number}-{at}-{case['expr']}")


def _rules(world: dict[str, Any], case: dict[str, Any]) -> DictFacts:
    repo = UUID(case["uuid"])
    groups = {UUID(u): frozenset(names.split()) for u, names in world["groups"].items()}
    if "groups" in case:
        groups[repo] = frozenset(case["groups"].split())
    return DictFacts(
        groups_of=groups,
        trusts={UUID(u): TrustLevel[name.upper()] for u, name in world["trust"].items()},
        group_texts=world["groupwanted"],
        wanted_texts={repo: case["expr"] or ""},
        required_texts={repo: case.get("required") or ""},
        dirs={repo: case["preferreddir"]} if "preferreddir" in case else {},
        copies_wanted=world["numcopies"],
    )


def _facts(rules: DictFacts, file: dict[str, Any]) -> DictFacts:
    return DictFacts(
        key=Key.parse(file["key"].encode()),
        file=file["file"],
        present_in={UUID(u) for u, state in file["locations"].items() if state == "1"},
        fields=file["metadata"],
        known_urls=[url.removeprefix("yt:") for url in file["urls"]],
        trusts=rules.trusts,
        groups_of=rules.groups_of,
        copies_wanted=rules.copies_wanted,
        dirs=rules.dirs,
    )


@pytest.mark.parametrize(("world", "case"), list(_cases()))
def test_expressions_want_what_the_real_program_wants(
    world: dict[str, Any], case: dict[str, Any]
) -> None:
    """A case that the real program never finished (a glob without end) wants nothing here."""
    rules = _rules(world, case)
    policy = Policy.of(UUID(case["uuid"]), rules)
    wanted, dropped = [], []
    for file in world["files"]:
        facts = _facts(rules, file)
        if policy.wants(facts, default=False):
            wanted.append(file["file"])
        if policy.lets_go(facts, default=False):
            dropped.append(file["file"])
    if case.get("hangs"):
        assert wanted == []
        return
    assert sorted(wanted) == sorted(case["want_get"])
    assert sorted(dropped) == sorted(case["want_drop"])


@pytest.mark.parametrize(("world", "case"), list(_cases()))
def test_expressions_parse_or_fail_with_the_real_message(
    world: dict[str, Any], case: dict[str, Any]
) -> None:
    if case.get("parse_ok", True):
        parse(case["expr"] or "")
        return
    with pytest.raises(ExpressionError) as failure:
        parse(case["expr"])
    said = f"git-annex: Parse error: {failure.value}\nwanted: 1 failed\n"
    assert said == case["wanted_stderr"]


@pytest.mark.parametrize("vector", _BALANCED, ids=lambda vector: vector["id"])
def test_balanced_terms_pick_what_the_real_program_picks(vector: dict[str, Any]) -> None:
    members = [UUID(u) for u in vector["group_members"]]
    group = vector["expr"].partition("=")[2].partition(":")[0]
    facts = DictFacts(
        key=Key.parse(vector["key"].encode()),
        file="file",
        present_in={UUID(u) for u in vector["locations"]},
        trusts={UUID(u): TrustLevel[name.upper()] for u, name in vector["trust"].items()},
        groups_of={member: frozenset({group}) for member in members},
        copies_wanted=vector["numcopies"],
        max_sizes={UUID(u): size for u, size in vector["maxsize"].items()},
        sizes={UUID(u): size for u, size in vector["reposize"].items()},
        wanted_texts=dict.fromkeys(members, vector["expr"]),
    )
    for rebalance in (False, True):
        policies = [Policy.of(member, facts) for member in members]
        gets = [p.repo for p in policies if p.wants(facts, default=False, rebalance=rebalance)]
        drops = [p.repo for p in policies if p.lets_go(facts, default=False, rebalance=rebalance)]
        suffix = "_rebalance" if rebalance else ""
        assert sorted(gets) == sorted(vector["want"][f"get{suffix}"])
        assert sorted(drops) == sorted(vector["want"][f"drop{suffix}"])

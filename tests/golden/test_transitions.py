"""Forgetting dead repositories: vectors of `git annex forget --drop-dead`."""

from __future__ import annotations

import json
from pathlib import Path

from shoal.logs import transitions
from shoal.logs.dropdead import drop_dead_from_all
from shoal.logs.transitions import Transition
from shoal.values.clock import parse_clock

_FIXTURE = Path(__file__).parents[1] / "fixtures" / "on-disk" / "transitions.json"
_VECTORS = json.loads(_FIXTURE.read_text())


def test_forgetting_the_dead_leaves_what_the_real_program_leaves() -> None:
    vector = _VECTORS["forget_drop_dead"]
    now = parse_clock(vector["clock"].encode())
    after = drop_dead_from_all({path: text.encode() for path, text in vector["before"].items()})
    after[transitions.PATH] = transitions.change(b"", Transition, now)
    assert after == {path: text.encode() for path, text in vector["after"].items()}


def test_forgetting_history_is_recorded() -> None:
    now = parse_clock(b"100s")
    log = transitions.change(b"", [Transition.FORGET_GIT_HISTORY], now)
    assert log == _VECTORS["forget"][transitions.PATH].encode()


def test_a_merge_continues_the_transitions_of_others() -> None:
    vector = _VECTORS["remote_transitioned_local_not"]
    theirs = transitions.parse(vector[transitions.PATH].encode())
    plan = transitions.plan(frozenset(), {"o/git-annex": theirs})
    assert plan is not None
    assert plan.replaces_branch
    assert plan.parents == ["o/git-annex"]
    assert plan.ignored == []
    words = ", ".join(transition.description for transition in plan.transitions)
    assert f"continuing transition {words}" in vector["log"]


def test_a_branch_without_our_transitions_is_merged_by_content_only() -> None:
    vector = _VECTORS["local_transitioned_remote_not"]
    ours = transitions.parse(b"ForgetGitHistory 100s\n")
    plan = transitions.plan(ours, {"o/git-annex": frozenset()})
    assert plan is not None
    assert not plan.replaces_branch
    assert (plan.ignored == ["o/git-annex"]) is vector["remote_ref_in_ignoredrefs"]
    assert (plan.parents == ["o/git-annex"]) is vector["remote_ref_is_parent"]


def test_an_unknown_transition_is_told_apart() -> None:
    assert _VECTORS["unknown_transition"]["exit"] == 1
    lines = transitions.parse(b"ForgetEverything 5s\nForgetGitHistory 6s\n")
    assert transitions.unknown(lines) == [b"ForgetEverything"]

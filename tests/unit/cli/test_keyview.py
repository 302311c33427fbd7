"""What there is to say about a key, for people and for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shoal.annex.session import Session
from shoal.cli.keyview import record_of, text_of
from shoal.errors import RemoteUnavailable
from shoal.operations.explaining import KeyView
from tests.support.annexrepo import HERE, git
from tests.support.fleet import A, B, C, FleetOfThree


@pytest.fixture
def three(tmp_path: Path) -> Iterator[FleetOfThree]:
    fleet = FleetOfThree(tmp_path)
    yield fleet
    fleet.close()


def text(three: FleetOfThree, found: KeyView) -> str:
    with closing(Session(three.client.repository)) as session:
        return "\n".join(text_of(found, session.names))


def test_who_has_it_and_who_wants_it(three: FleetOfThree) -> None:
    logs = three.client.repository.logs
    logs.set_wanted(B, "nothing")
    logs.set_required(C, "anything")
    key = three.give(b"three", three.a)
    logs.set_location(key, HERE, True)
    shown = text(three, three.view(key))
    assert shown.startswith(f"key: {key}\nsize: 5 B\ncopies: 1 wanted, never fewer than 1\n")
    assert "also in: here [here]\n" in shown
    assert "a: has it, by the log; holds 5 B" in shown
    assert "  wants to keep it: nothing is configured, so it wants everything" in shown
    assert "  does not want it: nothing[FALSE]" in shown
    assert "  required here: anything[TRUE]" in shown


def test_what_would_be_done(three: FleetOfThree) -> None:
    three.client.repository.logs.set_wanted(A, "nothing")
    three.client.repository.logs.set_wanted(C, "nothing")
    shown = text(three, three.view(three.give(b"three", three.a)))
    assert "an upload: to b\n" in shown
    assert "rebalance: copy to b; drop from a (wanted by b, not wanted by a)\n" in shown
    assert "heal: copy to b (wanted by b)\n" in shown
    assert "drain a: copy to b; drop from a (wanted by b, 0 of 1 copies, leaves a)" in shown


def test_an_upload_of_what_nobody_wants(three: FleetOfThree) -> None:
    for node in (A, B, C):
        three.client.repository.logs.set_wanted(node, "nothing")
    top = Path(three.client.repository.path)
    key = three.give(b"three")
    for policy, said in (("all", "to a, b, c"), ("one", "to a"), ("none", "refused")):
        git(top, "config", "shoal.unwanted", policy)
        three.client.repository.config.reload()
        assert f"no node wants it; {said} (git config" in text(three, three.view(key))
    three.client.log(key, three.b, present=True)
    assert "nowhere, no other node wants it; it is on b" in text(three, three.view(key))


def test_the_ranking_of_balanced_nodes(three: FleetOfThree) -> None:
    three.put_in_group("balanced=g:1")
    key = three.give(b"three")
    [chosen] = three.view(key).put.nodes
    wrong = next(node for node in (A, B, C) if node != chosen)
    three.client.repository.logs.set_location(key, wrong, True)
    shown = text(three, three.view(key))
    assert "by a rebalance it does not belong here: balanced=g:1[FALSE]" in shown
    assert shown.count("group g: 1 wanted, 3 members, 3 candidates") == 1
    assert "  1* " in shown
    assert max(map(len, shown.splitlines()[1:])) <= 80


def test_a_full_member_is_no_candidate(three: FleetOfThree) -> None:
    three.put_in_group("fullybalanced=g:3")
    three.client.repository.logs.set_max_size(A, 4)
    shown = text(three, three.view(three.give(b"three")))
    assert "group g: 3 wanted, 3 members, 2 candidates" in shown
    assert "  -            0 B      4 B  100%  a" in shown


def test_a_member_that_was_never_given_anything(three: FleetOfThree) -> None:
    three.put_in_group("fullybalanced=g:3")
    shown = text(three, three.view(three.give(b"three", three.b)))
    for letter, size in (("a", "0 B"), ("b", "5 B"), ("c", "0 B")):
        assert re.search(rf"^  \d\* +{size} +{letter}$", shown, re.MULTILINE)


def test_what_nodes_said_themselves(three: FleetOfThree) -> None:
    key = three.give(b"three", three.a, three.b)
    gone = RemoteUnavailable("c", "the disk is gone")
    shown = text(three, three.view(key, {A: True, B: False, C: gone}))
    assert "a: has it, it said so; " in shown
    assert "b: has it by the log, but it said no; " in shown
    assert "c: does not have it by the log; cannot be asked (the disk is gone); " in shown


def test_an_unstable_expression_is_named(three: FleetOfThree) -> None:
    three.client.repository.logs.set_wanted(A, "not present")
    shown = text(three, three.view(three.give(b"three")))
    assert "present[FALSE] (not used: present must not be negated)" in shown


def test_the_same_for_programs(three: FleetOfThree) -> None:
    three.put_in_group("balanced=g:1 and not copies=5")
    key = three.give(b"three", three.a)
    with closing(Session(three.client.repository)) as session:
        record = json.loads(json.dumps(record_of(three.view(key, {A: True}), session.names)))
    assert (record["key"], record["bytesize"], record["numcopies"]) == (str(key), 5, 1)
    assert [(n["name"], n["logged"], n["asked"], n["present"]) for n in record["nodes"]] == [
        ("a", True, True, True), ("b", False, False, None), ("c", False, False, None),
    ]  # fmt: skip
    expression = record["nodes"][0]["wanted"]["expression"]
    assert (expression["kind"], expression["value"]) == ("and", True)
    placement = expression["parts"][0]["placement"]
    assert (placement["group"], placement["count"], len(placement["members"])) == ("g", 1, 3)
    assert len(placement["rank"]) == 64
    assert list(record["drain"]) == [A]

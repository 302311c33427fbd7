"""What there is to say about a key, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shoal.annex.matching import Candidate
from shoal.annex.session import Session
from shoal.cli.keyview import text_of
from shoal.errors import ShoalError
from shoal.operations.explaining import KeyView, view_key
from shoal.operations.world import ClusterWorld
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE
from tests.support.fleet import A, B, C, FleetOfThree


@pytest.fixture
def three(tmp_path: Path) -> Iterator[FleetOfThree]:
    fleet = FleetOfThree(tmp_path)
    yield fleet
    fleet.close()


def view(
    three: FleetOfThree, key: Key, answers: dict[UUID, bool | ShoalError] | None = None
) -> KeyView:
    with closing(Session(three.client.repository)) as session:
        world = ClusterWorld(session, three.cluster(), {A, B, C, HERE})
        return view_key(session, three.cluster(), world, Candidate(key), answers or {})


def text(three: FleetOfThree, found: KeyView) -> str:
    with closing(Session(three.client.repository)) as session:
        return "\n".join(text_of(found, session.names))


def in_group(three: FleetOfThree, expression: str) -> None:
    logs = three.client.repository.logs
    for node in (A, B, C):
        logs.set_groups(node, ["g"])
        logs.set_wanted(node, expression)


def test_who_has_it_and_who_wants_it(three: FleetOfThree) -> None:
    logs = three.client.repository.logs
    logs.set_wanted(B, "nothing")
    logs.set_required(C, "anything")
    key = three.give(b"three", three.a)
    logs.set_location(key, HERE, True)
    found = view(three, key)

"""Choices by what a repository knows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shoal.gateway.choosing import Choosing, Placed, choosing
from shoal.git.preferences import Preferences
from shoal.git.repository import Repository
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.gitrepo import make_repository

pytestmark = pytest.mark.usefixtures("close_repositories")

A, B, C = (UUID(f"{digit * 8}-2222-4222-8222-222222222222") for digit in "abc")
CLUSTER = UUID("acaaaaaa-0000-8000-8000-00000000000c")
KEY = Key.parse(b"WORM-s100--key")
NOBODY: frozenset[UUID] = frozenset()


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    made = make_repository(tmp_path / "repo")
    for node in (A, B, C):
        made.logs.set_description(node, "node")
    return made


@contextmanager
def choice(repo: Repository, placed: Placed | None = None) -> Iterator[Choosing]:
    with choosing(Preferences(repo), [A, B, C], placed or Placed(KEY)) as made:
        yield made


def balance(repo: Repository, expression: str, **limits: int) -> None:
    for node, name in ((A, "a"), (B, "b"), (C, "c")):
        repo.logs.set_groups(node, ["g"])
        repo.logs.set_wanted(node, expression)
        repo.logs.set_max_size(node, limits[name])


def wanting(made: Choosing, present: frozenset[UUID] = NOBODY, **words: bool) -> list[UUID]:
    return [node for node in (A, B, C) if made.wants(node, present - {node}, **words)]


def fill(repo: Repository, node: UUID, size: int) -> None:
    repo.logs.set_location(Key.parse(b"WORM-s%d--%s" % (size, node[0].encode())), node, True)


def test_nothing_is_locked_or_opened_when_nothing_depends_on_sizes(repo: Repository) -> None:
    repo.logs.set_wanted(B, "not copies=1")
    with choice(repo) as made:
        assert wanting(made) == [A, B, C]
        assert wanting(made, frozenset({A})) == [A, C]
        assert made.has_room(A)
        assert made.reserve(A) is None
    assert not os.path.exists(os.path.join(repo.database_dir, "reposize"))


def test_room_is_reserved_until_the_log_knows(repo: Repository) -> None:
    repo.logs.set_max_size(A, 250)
    rooms = []
    for number in range(3):
        with choice(repo, Placed(Key.parse(b"WORM-s100--%d" % number))) as made:
            if made.has_room(A):
                rooms.append(made.reserve(A))
    first, second = rooms
    assert first is not None
    assert second is not None
    repo.logs.set_location(Key.parse(b"WORM-s100--0"), A, True)
    assert not first.is_pending
    second.cancel()
    with choice(repo) as made:
        assert made.has_room(A)
        fill(repo, A, 60)
    with choice(repo) as made:
        assert not made.has_room(A)


def test_a_node_that_is_logged_to_have_it_needs_no_room(repo: Repository) -> None:
    repo.logs.set_max_size(A, 100)
    repo.logs.set_location(KEY, A, True)
    with choice(repo) as made:
        assert made.has_room(A)


def test_room_in_another_cluster_is_that_ones_business(repo: Repository) -> None:
    repo.logs.set_max_size(A, 100)
    with choice(repo) as made:
        assert made.has_room(CLUSTER)
        assert made.reserve(CLUSTER) is None


@pytest.mark.parametrize(
    "expression", ["balanced=g", "sizebalanced=g", "fullybalanced=g", "fullysizebalanced=g"]
)
def test_balanced_content_goes_to_who_has_room(repo: Repository, expression: str) -> None:
    balance(repo, expression, a=1000, b=1000, c=1000)
    fill(repo, A, 950)
    fill(repo, C, 950)
    with choice(repo) as made:
        assert wanting(made) == [B]
    fill(repo, B, 950)
    with choice(repo) as made:
        assert wanting(made) == []
        assert not any(map(made.has_room, (A, B, C)))
        assert len(wanting(made, whatever_its_size=True)) == 1


@pytest.mark.parametrize("expression", ["balanced=g", "fullybalanced=g", "fullysizebalanced=g"])
def test_who_said_to_be_full_is_passed_over(repo: Repository, expression: str) -> None:
    balance(repo, expression, a=1000, b=1000, c=1000)
    full: frozenset[UUID] = NOBODY
    for _ in range(3):
        with choice(repo, Placed(KEY, full=full)) as made:
            (best,) = wanting(made)
            assert made.has_room(best)
        full |= {best}
    assert full == {A, B, C}
    with choice(repo, Placed(KEY, full=full)) as made:
        assert wanting(made) == []
        assert not made.has_room(A)


@pytest.mark.parametrize("expression", ["fullybalanced=g:2", "fullysizebalanced=g:2"])
def test_room_reserved_for_the_key_does_not_count_against_it(
    repo: Repository, expression: str
) -> None:
    """When others are judged again, those that were chosen are still where it belongs."""
    balance(repo, expression, a=100, b=100, c=100)
    with choice(repo) as made:
        chosen = wanting(made)
        rooms = [made.reserve(node) for node in chosen]
    assert len(chosen) == 2
    with choice(repo, Placed(KEY, reserved=frozenset(chosen))) as made:
        assert wanting(made) == chosen
        assert all(map(made.has_room, chosen))
    with choice(repo, Placed(Key.parse(b"WORM-s100--other"))) as made:
        assert len(wanting(made)) == 1
        assert not any(map(made.has_room, chosen))
    assert all(room is not None and room.is_pending for room in rooms)


def test_an_exception_leaves_nothing_reserved(repo: Repository) -> None:
    repo.logs.set_max_size(A, 100)
    rooms = []

    def interrupted() -> None:
        with choice(repo) as made:
            rooms.append(made.reserve(A))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    (room,) = rooms
    assert room is not None
    assert not room.is_pending


def test_nodes_that_are_being_emptied(repo: Repository) -> None:
    repo.logs.set_config(f"shoal.drain.{A}", json.dumps({"wanted": ""}))
    repo.logs.set_config(f"shoal.drain.{B}", "")
    with choice(repo) as made:
        assert [made.is_leaving(node) for node in (A, B, C)] == [True, False, False]

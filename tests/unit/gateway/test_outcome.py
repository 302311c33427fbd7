"""Putting nodes' answers together."""

from __future__ import annotations

import pytest

from shoal.errors import (
    KeyNotPresent,
    NotEnoughSpace,
    RemoteRefused,
    RemoteUnavailable,
    TransferInProgress,
)
from shoal.gateway import outcome
from shoal.remotes.base import RemoveResult, StoreResult
from shoal.values.uuid import UUID

A, B, C, X = UUID("a"), UUID("b"), UUID("c"), UUID("x")
NODES = [C, B, A]
DOWN = RemoteUnavailable("n", "no route")


def test_a_store_lists_who_stored_in_node_order() -> None:
    results: dict[UUID, StoreResult | Exception] = {
        A: StoreResult(True),
        B: DOWN,
        C: StoreResult(True, (X,)),
    }
    assert outcome.stored(NODES, results, {}) == StoreResult(True, (C, X, A))


def test_nodes_that_had_it_are_listed_with_those_that_stored() -> None:
    answer = outcome.stored(NODES, {A: StoreResult(True)}, {B: (X,)})
    assert answer == StoreResult(True, (B, X, A))


def test_nodes_that_had_it_are_no_success_by_themselves() -> None:
    """A move counts on a new copy; it must not drop the old one because an old one exists."""
    answer = outcome.stored(NODES, {A: DOWN}, {B: ()})
    assert answer == StoreResult(False, (B,), 'remote "n" is not available (no route)')


def test_a_node_that_failed_may_have_stored_elsewhere() -> None:
    results = {A: StoreResult(False, (X,), "no room"), B: StoreResult(False, (), "no room")}
    assert outcome.stored(NODES, results, {}) == StoreResult(False, (X,), "no room")


def test_a_bug_is_not_shown_to_clients() -> None:
    answer = outcome.stored(NODES, {A: ZeroDivisionError("/srv/secret")}, {})
    assert answer.error == "internal error"


def test_a_removal_succeeds_when_all_nodes_removed() -> None:
    results = {A: RemoveResult(True), B: RemoveResult(True, (X,)), C: RemoveResult(True)}
    assert outcome.removed(NODES, results) == RemoveResult(True, (C, B, X, A))


def test_a_partial_removal_fails_and_tells_who_removed() -> None:
    results: dict[UUID, RemoveResult | Exception] = {
        A: RemoveResult(True),
        B: RemoveResult(False, (X,), "content is locked"),
        C: DOWN,
    }
    answer = outcome.removed(NODES, results)
    assert answer.removed is False
    assert answer.removed_from == (X, A)
    assert answer.error == 'remote "n" is not available (no route); content is locked'


def test_a_cluster_without_nodes_removes_nothing() -> None:
    """The real program answers FAILURE too."""
    assert outcome.removed([], {}) == RemoveResult(False)


@pytest.mark.parametrize(
    ("logged", "failed", "kind"),
    [
        (set(), set(), KeyNotPresent),
        ({A}, set(), KeyNotPresent),  # A said no
        ({A}, {B, C}, KeyNotPresent),
        (set(), {B, C}, KeyNotPresent),  # the log says that B and C do not have it
        (set(), {A, B, C}, RemoteUnavailable),
        ({A}, {A}, RemoteUnavailable),
        ({A, B}, {A}, RemoteUnavailable),  # B said no, A is logged and down
    ],
)
def test_absent_only_when_those_who_may_hold_it_said_so(
    logged: set[UUID], failed: set[UUID], kind: type[Exception]
) -> None:
    error = outcome.absence("cl", "KEY", NODES, logged, dict.fromkeys(failed, DOWN))
    assert type(error) is kind


@pytest.mark.parametrize(
    "telling", [NotEnoughSpace("full"), TransferInProgress(), RemoteRefused("read-only")]
)
def test_a_refusal_shows_the_most_telling_cause(telling: Exception) -> None:
    assert outcome.refusal("cl", {A: DOWN, B: telling}) is telling


def test_a_refusal_joins_equal_causes() -> None:
    error = outcome.refusal("cl", {A: DOWN, B: RemoteUnavailable("n", "no route")})
    assert str(error) == 'remote "cl" is not available (n: no route)'
    assert str(outcome.refusal("cl", {})) == 'remote "cl" is not available (it has no nodes)'


def test_bugs_are_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        outcome.raise_bugs({A: DOWN, B: StoreResult(True), C: ZeroDivisionError()})
    outcome.raise_bugs({A: DOWN, B: StoreResult(True)})

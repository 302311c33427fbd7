"""Copies are locked where that is possible, and locks are held until the drop is over."""

from __future__ import annotations

import pytest

from shoal.annex.proof import Needed, Strength, TooFewLocked, TooFewVerified
from shoal.annex.verifying import DropRefused, RemoteSource, drop_proof
from shoal.errors import RemoteRefused, RemoteUnavailable
from shoal.remotes.base import LOCK_SECONDS
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote

NOW = 5000.0


def remotes(*names: str, can_lock: bool = True) -> tuple[list[MemoryRemote], Key]:
    """Remotes that all hold one key."""
    made = [MemoryRemote(UUID(f"u-{name}"), name, can_lock=can_lock) for name in names]
    return made, [remote.put(b"content") for remote in made].pop()


def sources(made: list[MemoryRemote]) -> list[RemoteSource]:
    return [RemoteSource(remote, lambda: NOW) for remote in made]


@in_loop
async def test_locks_are_held_while_the_proof_is_open() -> None:
    made, key = remotes("a", "b", "c")
    async with drop_proof(key, Needed(2, 1), sources(made), here=False) as proof:
        assert [copy.strength for copy in proof.copies] == [Strength.LOCKED] * 2
        assert proof.expires == NOW + LOCK_SECONDS
        assert [remote.locks[key] for remote in made] == [1, 1, 0]
    assert all(remote.idle for remote in made)
    assert made[2].calls == []


@in_loop
async def test_a_repository_that_cannot_lock_is_asked_whether_it_has_the_key() -> None:
    made, key = remotes("a", can_lock=False)
    async with drop_proof(key, Needed(1, 1), sources(made), here=True) as proof:
        assert [copy.strength for copy in proof.copies] == [Strength.RECENTLY_VERIFIED]
        assert proof.expires is None
    with pytest.raises(DropRefused) as refused:
        async with drop_proof(key, Needed(1, 1), sources(made), here=False):
            pass
    assert refused.value.shortage == TooFewLocked(1)
    assert refused.value.unlockable == ("a",)
    assert refused.value.unavailable == ()


@in_loop
async def test_a_repository_that_says_no_does_not_count() -> None:
    made, key = remotes("a", "b")
    made[0].objects.clear()
    with pytest.raises(DropRefused) as refused:
        async with drop_proof(key, Needed(2, 1), sources(made), here=True):
            pass
    assert refused.value.shortage == TooFewVerified(1, 2)
    assert refused.value.verified == (UUID("u-b"),)
    assert refused.value.unlockable == ()
    assert all(remote.idle for remote in made)


@in_loop
async def test_a_repository_that_does_not_answer_does_not_count() -> None:
    made, key = remotes("a", "b")
    made[0].fail("lock_content")
    made[1].fail("lock_content", RemoteRefused("no"))
    made[1].fail("check_present")
    with pytest.raises(DropRefused) as refused:
        async with drop_proof(key, Needed(1, 1), sources(made), here=True):
            pass
    assert refused.value.shortage == TooFewVerified(0, 1)
    assert refused.value.unavailable == ("a", "b")
    assert all(remote.idle for remote in made)


@in_loop
async def test_trusted_repositories_are_not_asked() -> None:
    made, key = remotes("a", "b")
    async with drop_proof(key, Needed(1, 1), sources(made), [UUID("u-a")], here=False) as proof:
        assert [copy.strength for copy in proof.copies] == [Strength.TRUSTED]
        assert proof.expires is None
    async with drop_proof(key, Needed(2, 1), sources(made), [UUID("u-a")], here=False) as proof:
        assert {copy.uuid for copy in proof.copies} == {UUID("u-a"), UUID("u-b")}
    assert made[0].calls == []


@in_loop
async def test_locks_are_released_when_the_drop_fails() -> None:
    made, key = remotes("a", "b")
    with pytest.raises(RemoteUnavailable, match="the drop"):
        async with drop_proof(key, Needed(2, 1), sources(made), here=False):
            raise RemoteUnavailable("c", "the drop")
    assert all(remote.idle for remote in made)


@in_loop
async def test_a_lock_whose_connection_is_lost_does_not_hide_the_result_of_the_drop() -> None:
    made, key = remotes("a", "b")
    made[0].fail("unlock")
    done = False
    async with drop_proof(key, Needed(2, 1), sources(made), here=False):
        done = True
    assert done
    assert all(remote.idle for remote in made)


@in_loop
async def test_one_repository_reached_in_two_ways_counts_once() -> None:
    made, key = remotes("a")
    twice = sources(made) + sources(made)
    with pytest.raises(DropRefused) as refused:
        async with drop_proof(key, Needed(2, 1), twice, here=True):
            pass
    assert refused.value.shortage == TooFewVerified(1, 2)

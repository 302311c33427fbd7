"""A drop proof needs enough copies, of the right kinds, and ends when a lock may end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.annex.proof import (
    DropProof,
    Needed,
    Strength,
    TooFewLocked,
    TooFewVerified,
    VerifiedCopy,
    prove,
    removal_deadline,
    strongest,
)
from shoal.values.uuid import UUID

A, B, C = UUID("a"), UUID("b"), UUID("c")


def recent(uuid: UUID) -> VerifiedCopy:
    return VerifiedCopy(uuid, Strength.RECENTLY_VERIFIED)


def trusted(uuid: UUID) -> VerifiedCopy:
    return VerifiedCopy(uuid, Strength.TRUSTED)


def locked(uuid: UUID, expires: float | None = None) -> VerifiedCopy:
    return VerifiedCopy(uuid, Strength.LOCKED, expires)


def test_without_copies_there_is_no_proof() -> None:
    assert prove([], Needed(1, 1), here=True) == TooFewVerified(0, 1)
    assert prove([], Needed(1, 1), here=False) == TooFewVerified(0, 1)


def test_a_recently_verified_copy_is_enough_to_drop_here() -> None:
    assert isinstance(prove([recent(A)], Needed(1, 1), here=True), DropProof)


def test_a_recently_verified_copy_is_not_enough_to_drop_elsewhere() -> None:
    assert prove([recent(A)], Needed(1, 1), here=False) == TooFewLocked(1)
    assert prove([recent(A), recent(B)], Needed(2, 1), here=False) == TooFewLocked(1)


@pytest.mark.parametrize("strong", [locked(B), trusted(B)])
def test_one_safe_copy_of_two_satisfies_mincopies_1(strong: VerifiedCopy) -> None:
    assert isinstance(prove([recent(A), strong], Needed(2, 1), here=False), DropProof)
    assert prove([recent(A), strong], Needed(2, 2), here=False) == TooFewLocked(2)


def test_dropping_here_needs_the_greater_of_numcopies_and_mincopies() -> None:
    copies = [locked(A), recent(B)]
    assert isinstance(prove(copies, Needed(1, 2), here=True), DropProof)
    assert prove(copies, Needed(1, 3), here=True) == TooFewLocked(3)
    assert prove(copies, Needed(3, 1), here=True) == TooFewVerified(2, 3)


def test_one_repository_counts_once() -> None:
    assert prove([locked(A), recent(A), trusted(A)], Needed(2, 1), here=True) == TooFewVerified(
        1, 2
    )


def test_the_strongest_copy_of_a_repository_is_kept() -> None:
    assert strongest([recent(A), locked(A, 5.0), trusted(A)]) == (locked(A, 5.0),)
    assert strongest([locked(A, 5.0), locked(A, 9.0)]) == (locked(A, 9.0),)
    assert strongest([locked(A, 5.0), locked(A)]) == (locked(A),)


def test_zero_copies_mean_one() -> None:
    assert Needed(0, -3) == Needed(1, 1)


def test_a_proof_ends_with_the_first_lock_that_ends() -> None:
    proof = prove([locked(A, 50.0), locked(B, 40.0), locked(C)], Needed(1, 1), here=False)
    assert isinstance(proof, DropProof)
    assert proof.expires == 40.0
    assert proof.is_valid(39.9)
    assert not proof.is_valid(40.0)


def test_a_proof_of_copies_without_end_does_not_end() -> None:
    proof = prove([locked(A), trusted(B)], Needed(2, 2), here=False)
    assert isinstance(proof, DropProof)
    assert proof.is_valid(1e12)
    assert removal_deadline(proof, 100, 5.0) is None


def test_the_deadline_is_in_the_other_clock() -> None:
    proof = DropProof((locked(A, 600.0),), 600.0)
    assert removal_deadline(proof, 2462, 1.0) == 2462 + 599


def test_messages_are_those_of_git_annex() -> None:
    assert str(TooFewVerified(0, 1)) == "Could not verify the existence of the 1 necessary copy."
    assert (
        str(TooFewVerified(2, 3))
        == "Could only verify the existence of 2 out of 3 necessary copies."
    )
    assert str(TooFewLocked(1)) == "Unable to lock down 1 copy of file necessary to safely drop it."
    assert (
        str(TooFewLocked(2)) == "Unable to lock down 2 copies of file necessary to safely drop it."
    )


copies_strategy = st.lists(
    st.builds(
        VerifiedCopy,
        st.sampled_from([A, B, C]),
        st.sampled_from(list(Strength)),
        st.none() | st.floats(0, 1000),
    )
)


@given(copies_strategy, st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_a_proof_always_leaves_numcopies_and_mincopies(
    copies: list[VerifiedCopy], numcopies: int, mincopies: int, here: bool
) -> None:
    result = prove(copies, Needed(numcopies, mincopies), here=here)
    if isinstance(result, DropProof):
        assert len({copy.uuid for copy in result.copies}) >= max(numcopies, mincopies)
        if not here:
            assert sum(copy.is_safe() for copy in result.copies) >= mincopies
        assert all(
            result.expires is not None and result.expires <= copy.expires
            for copy in result.copies
            if copy.expires is not None
        )


@given(st.floats(0, 1e6), st.floats(0, 600), st.floats(0, 1e6), st.floats(0, 10))
def test_the_deadline_never_comes_after_the_end_of_the_proof(
    our_time: float, left: float, their_time: float, delay: float
) -> None:
    """Their clock is read at `our_time`, and the answer takes `delay` seconds."""
    proof = DropProof((locked(A, our_time + left),), our_time + left)
    deadline = removal_deadline(proof, int(their_time), our_time + delay)
    assert deadline is not None
    their_time_at_the_end = their_time + left
    assert deadline <= their_time_at_the_end + 1e-6

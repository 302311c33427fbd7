"""The picker, on the examples that were published with the real program."""

from __future__ import annotations

from shoal.preferred.balanced import pick
from shoal.values.key import Key
from shoal.values.uuid import UUID

KEY = Key.parse(
    b"SHA256E-s100--2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae.txt"
)
MEMBERS = [
    UUID("aaaaaaaa-0000-4000-8000-000000000001"),
    UUID("bbbbbbbb-0000-4000-8000-000000000002"),
    UUID("cccccccc-0000-4000-8000-000000000003"),
]


def test_the_worked_example() -> None:
    first, second, third = MEMBERS
    assert pick(MEMBERS, MEMBERS, KEY, 1) == [second]
    assert pick(MEMBERS, MEMBERS, KEY, 2) == [second, third]
    assert pick(MEMBERS, [second, third], KEY, 1) == [third]
    assert pick(MEMBERS, [], KEY, 1) == []
    assert pick(MEMBERS, MEMBERS, KEY, 0) == []
    assert first in pick(MEMBERS, MEMBERS, KEY, 99)


def test_the_real_programs_own_test_vector() -> None:
    members = [UUID(str(n)) for n in range(1, 501)]
    assert pick(members, members, Key.parse(b"WORM--test"), 3) == ["332", "333", "334"]

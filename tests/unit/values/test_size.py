"""Sizes beyond the vectors: every unit, in each spelling."""

from __future__ import annotations

import pytest

from shoal.values.size import BINARY_UNITS, BIT_UNITS, BYTE_UNITS, Unit, parse_size


@pytest.mark.parametrize("unit", [*BYTE_UNITS, *BINARY_UNITS, *BIT_UNITS], ids=lambda u: u.name)
def test_a_unit_has_three_spellings_and_no_case(unit: Unit) -> None:
    names = (unit.abbreviation, unit.name, f"{unit.name}s")
    for name in (*names, *map(str.upper, names), *map(str.lower, names)):
        assert parse_size(f"1{name}") == round(float(unit.size))


def test_the_unit_is_all_letters_that_follow() -> None:
    assert parse_size("1kb2mb") == 1000
    assert parse_size("1\u00a0kb") == 1000
    assert parse_size("5²") == 5
    assert parse_size(b"5\xffkb") == 5
    with pytest.raises(ValueError, match="unknown unit"):
        parse_size("1kbé")


def test_units_are_whole_bytes() -> None:
    assert [unit.size for unit in BIT_UNITS[:2]] == [125, 125_000]
    assert BYTE_UNITS[1] == Unit(1000, "kB", "kilobyte")
    assert BINARY_UNITS[0] == Unit(1024, "KiB", "kibibyte")

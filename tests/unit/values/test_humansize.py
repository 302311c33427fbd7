"""Sizes for people read as git-annex 10.20261026 shows them (`examinekey`, `info`, `maxsize`)."""

from __future__ import annotations

import pytest

from shoal.values.humansize import exact_size, rough_size
from shoal.values.size import BINARY_UNITS


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1005, "1 kB"),
        (1009, "1.01 kB"),
        (1049, "1.05 kB"),
        (1099, "1.1 kB"),
        (1125, "1.12 kB"),
        (1135, "1.14 kB"),
        (1375, "1.38 kB"),
        (1995, "2 kB"),
        (9995, "9.99 kB"),
        (9999, "10 kB"),
        (12345, "12.35 kB"),
        (99995, "100 kB"),
        (999994, "999.99 kB"),
        (999999, "1000 kB"),
        (1234567, "1.23 MB"),
        (999999999999, "1000 GB"),
        (1234567890123456, "1.23 PB"),
    ],
)
def test_rough_sizes(size: int, text: str) -> None:
    assert rough_size(size) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1001, "1 kilobyte"),
        (1010, "1.01 kilobytes"),
        (1995, "2 kilobytes"),
    ],
)
def test_long_names(size: int, text: str) -> None:
    assert rough_size(size, long=True) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0.0 B"),
        (100, "100.0 B"),
        (1234567, "1.234567 MB"),
        (10000000001, "10.000000001 GB"),
        (999999, "999.999 kB"),
        (2**1024, "Infinity QB"),
        (-(2**1024), "-Infinity QB"),
    ],
)
def test_exact_sizes(size: int, text: str) -> None:
    assert exact_size(size) == text


def test_binary_units() -> None:
    assert rough_size(32 * 2**20, long=True, units=BINARY_UNITS) == "32 mebibytes"

"""Fixtures for tests of operations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet import FleetOfThree


@pytest.fixture
def three(tmp_path: Path) -> Iterator[FleetOfThree]:
    """A cluster of three nodes in memory."""
    nodes = FleetOfThree(tmp_path)
    yield nodes
    nodes.close()

"""For how long clients are waited for, as it is configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.server.patience import STALL, stall_of
from tests.support.annexrepo import make_annex


@pytest.mark.parametrize(
    ("configured", "seconds"),
    [("2.5", 2.5), ("0", STALL), ("-1", STALL), ("inf", STALL), ("soon", STALL)],
)
def test_what_makes_no_sense_is_as_usual(tmp_path: Path, configured: str, seconds: float) -> None:
    with make_annex(tmp_path / "r") as repository:
        assert stall_of(repository.config) == STALL
        repository.config.set("shoal.client-stall-time", configured)
        assert stall_of(repository.config) == seconds

"""From when on a repository counts as full: annex.fullybalancedthreshhold, in percent."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.git.preferences import Preferences
from tests.support.annexrepo import git, make_annex


@pytest.mark.parametrize(
    ("configured", "part"),
    [(None, 0.9), ("30", 0.3), ("1e2", 1.0), ("0x19", 0.25), ("30%", 0.3), ("x", 0.9), ("0", 0.0)],
)
def test_the_threshold_is_in_percent(tmp_path: Path, configured: str | None, part: float) -> None:
    """Verified with git-annex 10.20261026: 0.9 would be less than one percent."""
    repository = make_annex(tmp_path / "repo")
    if configured is not None:
        git(tmp_path / "repo", "config", "annex.fullybalancedthreshhold", configured)
        repository.config.reload()
    assert Preferences(repository).facts(None).full_at == part
    repository.close()

"""What repositories want, by what is recorded and configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.git.preferences import Preferences
from shoal.values.key import Key
from tests.support.annexrepo import HERE, git, make_annex

KEY = Key.parse(b"WORM-s1--file")


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


def test_the_user_hears_once_of_patterns_that_cannot_be_used(tmp_path: Path) -> None:
    with make_annex(tmp_path / "repo") as repository:
        told: list[str] = []
        repository.complain = told.append
        preferences = Preferences(repository)
        repository.logs.set_wanted(HERE, "include=[ab]* or url=[z-a] or metadata=a=[")
        for group in ("one", "another"):
            assert not preferences.wants(HERE, KEY, "c", default=False)
            repository.logs.set_groups(HERE, [group])
        assert [
            f"what {HERE} wants: the pattern in `{word}`" in " ".join(told)
            for word in ("url=[z-a]", "metadata=a=[", "include=[ab]*")
        ] == [True, True, False]
        assert len(told) == 2

"""Changes of refs are seen, whoever made them and however git keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.git.refwatch import RefWatch
from tests.support.annexrepo import git, make_annex


@pytest.mark.parametrize("packed", [False, True])
def test_new_and_changed_refs_are_told_once(tmp_path: Path, packed: bool) -> None:
    with make_annex(tmp_path / "r") as repository:
        top = Path(repository.path)
        commit = ("commit", "-q", "--allow-empty", "-m", "m")
        git(top, *commit)
        first = git(top, "rev-parse", "HEAD").strip()
        watch = RefWatch(repository)
        assert watch.values == (first,)
        assert watch.changes() == ()
        git(top, "branch", "other")
        git(top, "tag", "mark")
        if packed:
            git(top, "pack-refs", "--all")
        assert watch.changes() == (first,)
        assert watch.changes() == ()
        git(top, *commit)
        second = git(top, "rev-parse", "HEAD").strip()
        git(top, "update-ref", "refs/remotes/deep/er/one", second)
        git(top, "branch", "-D", "other")
        assert watch.changes() == (second,)
        git(top, "pack-refs", "--all")
        assert watch.changes() == ()
        assert set(watch.values) == {first, second}

"""What `git annex unused` found."""

from __future__ import annotations

from pathlib import Path

from shoal.git.unusedlog import unused_keys
from tests.support.gitrepo import make_repository


def test_no_file(tmp_path: Path) -> None:
    assert unused_keys(make_repository(tmp_path / "repo")) == []


def test_keys_by_name_and_lines_that_are_skipped(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    path = Path(repository.annex_path("unused"))
    path.parent.mkdir()
    path.write_text(
        "1 SHA256-s2--b 1795361825.635450683s\n2 MD5-s3--a 5s\n3 SHA256-s4--without-a-time\n"
        "x MD5-s3--c 5s\n4 nokey 5s\n5 WORM-s1-m2--with space 5\n6 MD5-s3--a 6s\n"
    )
    found = [str(key) for key in unused_keys(repository)]
    assert found == ["MD5-s3--a", "SHA256-s2--b", "WORM-s1-m2--with space"]

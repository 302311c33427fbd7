"""What a file looked like, as text of the real program's database."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.git.inodecache import InodeCache

_SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (25_528_473, "025528473"),
        (217_528_610, "21752861"),
        (500_000_000, "5"),
        (0, ""),
        (1, "000000001"),
        (100_000_000, "1"),
    ],
)
def test_the_text_form_is_the_real_programs(nanoseconds: int, text: str) -> None:
    """Taken from the database of git-annex 10.20261026, for files with these times."""
    cache = InodeCache(2352504, 2, 1_500_000_000 * _SECOND + nanoseconds)
    assert str(cache) == f"2352504 2 1500000000 {text}"
    assert InodeCache.parse(str(cache)) == cache


@pytest.mark.parametrize("text", ["", "1", "1 2", "a 2 3 4", "1 2 3 4 5", "1 2 3 x"])
def test_other_texts_are_refused(text: str) -> None:
    """They are no inode caches."""
    with pytest.raises(ValueError, match="not an inode cache"):
        InodeCache.parse(text)


def test_only_plain_files_have_one(tmp_path: Path) -> None:
    """Nothing else can hold content."""
    (tmp_path / "file").write_bytes(b"xy")
    (tmp_path / "link").symlink_to("file")
    cache = InodeCache.of_file(str(tmp_path / "file"))
    assert cache is not None
    assert cache.size == 2
    for name in ("link", "missing", "file/below", "."):
        assert InodeCache.of_file(str(tmp_path / name)) is None

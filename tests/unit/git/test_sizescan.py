"""Sums over the location logs of commits."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.git.process import GitError
from shoal.git.repository import Repository
from shoal.git.sizescan import diff_sizes, scan_sizes, size_of
from shoal.values.key import Key
from shoal.values.keypath import log_path
from tests.support.annexrepo import HERE, THERE, git, make_annex

CLUSTER = "ac666666-6666-8666-8666-666666666666"


@pytest.mark.parametrize(
    ("path", "size"),
    [
        (b"abc/def/SHA256E-s1000--aa.bin.log", 1000),
        (b"abc/def/SHA256E-s7-m99--bb.log", 7),
        (b"abc/def/URL-s12--http&c%%x&sy.log", 12),
        (b"abc/def/WORM-m1--f.log", 0),
        (b"abc/def/XFOO--no size.log", 0),
        (b"abc/SHA256E-s1000--aa.bin.log", None),
        (b"abc/def/ghi/SHA256E-s1000--aa.bin.log", None),
        (b"abc/def/SHA256E-s1000--aa.bin.log.met", None),
        (b"abc/def/SHA256E-s1000--aa.bin.log.log.web", None),
        (b"abc/def/nonsense.log", None),
        (b"uuid.log", None),
    ],
)
def test_the_size_of_a_key_is_in_the_path_of_its_log(path: bytes, size: int | None) -> None:
    assert size_of(path, 2) == size


def test_with_one_level_of_directories_other_paths_are_logs() -> None:
    assert size_of(b"abc/SHA256E-s1000--aa.bin.log", 1) == 1000
    assert size_of(b"abc/def/SHA256E-s1000--aa.bin.log", 1) is None


def commit(repository: Repository, logs: dict[bytes, str | None]) -> str:
    """Put logs of keys (None: delete) on the branch, by git alone; give the commit."""
    tip = repository.branch.tip
    script = "commit refs/heads/git-annex\ncommitter a <a> 1 +0000\ndata 0\n"
    script += f"from {tip}\n" if tip else ""
    for key, log in logs.items():
        path = log_path(Key.parse(key), ".log")
        text = f"M 100644 inline {path}\ndata {len(log)}\n{log}\n" if log else f"D {path}\n"
        script += text
    git(Path(repository.path), "fast-import", "--quiet", data=script.encode())
    found = repository.branch.tip
    assert found is not None
    return found


BIG, SMALL = b"SHA256E-s1000--aa", b"SHA256E-s7--bb"


def test_all_that_is_present_is_added_up(tmp_path: Path) -> None:
    """Clusters too, should a log have one, since the real program counts them."""
    with make_annex(tmp_path / "r") as repository:
        tip = commit(
            repository,
            {
                BIG: f"1s 0 {HERE}\n3s 1 {HERE}\n2s 0 {HERE}\n1s X {THERE}\n1s 1 {CLUSTER}\n",
                SMALL: f"1s 1 {HERE}\n1s 1 {THERE}\ngarbage\n1s 1 \n",
                b"WORM--unknown": f"1s 1 {THERE}\n",
            },
        )
        assert scan_sizes(repository.git, tip, 2) == {HERE: 1007, THERE: 7, CLUSTER: 1000}


def test_a_difference_is_what_came_less_what_went(tmp_path: Path) -> None:
    with make_annex(tmp_path / "r") as repository:
        old = commit(repository, {BIG: f"1s 1 {HERE}\n", SMALL: f"1s 1 {HERE}\n1s 1 {THERE}\n"})
        third = b"SHA256E-s100--cc"
        new = commit(
            repository, {BIG: f"1s 0 {HERE}\n1s 1 {THERE}\n", SMALL: None, third: f"1s 1 {HERE}\n"}
        )
        paths = {log_path(Key.parse(key), ".log").encode() for key in (BIG, b"SHA256E-s1--dd")}
        sums, differ = diff_sizes(repository.git, old, new, 2, paths)
        assert sums == {HERE: -1000 - 7 + 100, THERE: 1000 - 7}
        assert differ == {log_path(Key.parse(BIG), ".log").encode()}
        assert diff_sizes(repository.git, new, new, 2, paths) == ({}, set())


def test_what_cannot_be_read_is_no_sum(tmp_path: Path) -> None:
    with make_annex(tmp_path / "r") as repository:
        old = commit(repository, {BIG: f"1s 1 {HERE}\n"})
        with pytest.raises(GitError):
            scan_sizes(repository.git, "1" * 40, 2)
        with pytest.raises(GitError):
            diff_sizes(repository.git, "1" * 40, old, 2, ())
        # A blob is lost: fast-import leaves it in a pack, which is unpacked to delete it.
        log = git(Path(repository.path), "rev-parse", f"{old}:{log_path(Key.parse(BIG), '.log')}")
        objects = Path(repository.common_dir) / "objects"
        for pack in (objects / "pack").glob("*.pack"):
            moved = pack.rename(tmp_path / pack.name)
            pack.with_suffix(".idx").unlink()
            git(Path(repository.path), "unpack-objects", "-q", data=moved.read_bytes())
        (objects / log[:2] / log[2:].strip()).unlink()
        with pytest.raises(GitError, match="missing"):
            scan_sizes(repository.git, old, 2)

"""The first source that says something counts, and a drop needs the most of all files."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shoal.annex.copies import CopiesWanted
from shoal.annex.proof import Needed
from shoal.git.repository import Repository
from shoal.values.key import Key

ONE, TWO = (Key.parse(b"SHA256-s%d--x" % n) for n in (1, 2))


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """`a.x` and `b` are one key, `c` another."""
    top = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", top], check=True)
    for name, key in (("a.x", ONE), ("b", ONE), ("c", TWO)):
        (top / name).symlink_to(f".git/annex/objects/xx/yy/{key}/{key}")
    subprocess.run(["git", "add", "a.x", "b", "c"], cwd=top, check=True)
    return top


@contextmanager
def wanted(top: Path, **settings: int | None) -> Iterator[CopiesWanted]:
    with Repository.open(top) as repository:
        copies = CopiesWanted(repository, **settings)
        yield copies
        copies.close()


def test_one_copy_is_the_default(top: Path) -> None:
    with wanted(top) as copies:
        assert copies.of_file("b") == copies.of_file(None) == copies.of_key(ONE) == Needed(1, 1)


def test_the_order_of_sources(top: Path) -> None:
    subprocess.run(["git", "config", "annex.numcopies", "2"], cwd=top, check=True)
    with wanted(top) as copies:
        assert copies.of_file("a.x") == Needed(2, 1)
    with wanted(top, logged_numcopies=3, logged_mincopies=2) as copies:
        assert copies.of_file("a.x") == Needed(3, 2)
    (top / ".gitattributes").write_text("*.x annex.numcopies=4 annex.mincopies=3\n")
    with wanted(top, logged_numcopies=3, logged_mincopies=2) as copies:
        assert copies.of_file("a.x") == Needed(4, 3)
        assert copies.of_file("b") == Needed(3, 2)
    with wanted(top, logged_numcopies=3, numcopies=7) as copies:
        assert copies.of_file("a.x") == Needed(7, 3)
    with wanted(top, numcopies=0, mincopies=0) as copies:
        assert copies.of_file("a.x") == Needed(1, 1)


def test_what_everybody_knows_leaves_out_options_and_git_config(top: Path) -> None:
    subprocess.run(["git", "config", "annex.numcopies", "2"], cwd=top, check=True)
    (top / ".gitattributes").write_text("*.x annex.numcopies=4\n")
    with wanted(top, numcopies=7) as copies:
        assert (copies.agreed("a.x"), copies.agreed("b"), copies.agreed(None)) == (4, 1, 1)
    with wanted(top, logged_numcopies=3) as copies:
        assert (copies.agreed("a.x"), copies.agreed("b"), copies.agreed(None)) == (4, 3, 3)


def test_a_drop_needs_the_most_of_all_files_with_the_key(top: Path) -> None:
    (top / ".gitattributes").write_text("*.x annex.numcopies=4 annex.mincopies=3\n")
    with wanted(top) as copies:
        assert copies.of_file("b") == Needed(1, 1)
        assert copies.of_key(ONE, "b") == copies.of_key(ONE) == Needed(4, 3)
        assert copies.of_key(TWO, "c") == Needed(1, 1)


def test_attributes_that_are_no_numbers_say_nothing(top: Path) -> None:
    (top / ".gitattributes").write_text("a.x annex.numcopies=many\nb annex.numcopies=0\n")
    with wanted(top, logged_numcopies=2) as copies:
        assert copies.of_file("a.x") == Needed(2, 1)
        assert copies.of_file("b") == Needed(1, 1)


def test_attributes_count_wherever_git_reads_them(top: Path) -> None:
    (top / ".git/info").mkdir(exist_ok=True)
    (top / ".git/info/attributes").write_text("*.x annex.numcopies=5\n")
    with wanted(top) as copies:
        assert copies.of_key(ONE, "b") == Needed(5, 1)


def test_a_bare_repository_has_no_files(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "b.git"], check=True)
    with wanted(tmp_path / "b.git", logged_numcopies=2) as copies:
        assert copies.of_key(ONE, "b") == Needed(2, 1)
        assert copies.files.of(ONE) == []

"""Annexed files are found in the index, in the order of the words that name them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from shoal.annex.files import AnnexedFile, WorkTree
from shoal.errors import ShoalError
from shoal.git.repository import Repository
from shoal.values.key import Key

KEY = "SHA256E-s{size}--{digit:064x}"


def key(n: int) -> str:
    return KEY.format(size=n, digit=n)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with two locked files, an unlocked one, and files that are no pointers."""
    top = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", top], check=True)
    (top / "d").mkdir()
    (top / "a").symlink_to(f".git/annex/objects/xx/yy/{key(1)}/{key(1)}")
    (top / "d/b").symlink_to(f"../.git/annex/objects/xx/yy/{key(2)}/{key(2)}")
    (top / "u").write_text(f"/annex/objects/{key(3)}\n")
    (top / "plain").write_text("hello\n")
    (top / "large").write_text(f"/annex/objects/{key(4)}\n" * 2000)
    (top / "link").symlink_to("elsewhere")
    (top / "untracked").symlink_to(f".git/annex/objects/xx/yy/{key(5)}/{key(5)}")
    subprocess.run(["git", "add", "a", "d", "u", "plain", "large", "link"], cwd=top, check=True)
    return top


def found(
    top: Path, *words: str, cwd: str = ".", complaints: list[str] | None = None
) -> list[AnnexedFile]:
    said: list[str] = [] if complaints is None else complaints
    with Repository.open(top) as repository:
        files = list(WorkTree(repository, os.path.join(top, cwd)).annexed(words, said.append))
    if complaints is None:
        assert said == []
    return files


def test_all_files_below_the_current_directory(top: Path) -> None:
    files = found(top)
    assert [(f.shown, str(f.key), f.locked) for f in files] == [
        ("a", key(1), True),
        ("d/b", key(2), True),
        ("u", key(3), False),
    ]
    assert {f.given for f in files} == {""}
    assert [f.shown for f in found(top, cwd="d")] == ["b"]


def test_files_come_in_the_order_of_the_words_and_once(top: Path) -> None:
    assert [(f.shown, f.given) for f in found(top, "u", "d", "a", "d/b", "a")] == [
        ("u", "u"),
        ("d/b", "d"),
        ("a", "a"),
    ]


def test_paths_are_shown_from_the_current_directory(top: Path) -> None:
    assert [f.shown for f in found(top, "..", cwd="d")] == ["../a", "b", "../u"]
    assert [f.path for f in found(top, "../a", cwd="d")] == ["a"]
    assert [f.shown for f in found(top, str(top / "d" / "b"))] == ["d/b"]


def test_a_file_below_a_linked_directory_is_found(top: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(top)
    assert [f.shown for f in found(top, str(tmp_path / "alias" / "a"))] == ["a"]


def test_words_that_git_does_not_know_are_named_and_the_others_found(top: Path) -> None:
    said: list[str] = []
    assert [f.shown for f in found(top, "x", "a", "untracked", complaints=said)] == ["a"]
    assert said == [
        "error: pathspec 'x' did not match any file(s) known to git\n"
        "error: pathspec 'untracked' did not match any file(s) known to git\n"
        "Did you forget to 'git add'?"
    ]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("", "fatal: empty string is not a valid pathspec."),
        ("..", "fatal: ..: '..' is outside repository at '"),
        ("/etc", "fatal: /etc: '/etc' is outside repository at '"),
    ],
)
def test_a_word_that_is_no_place_in_the_repository_stops_all(
    top: Path, word: str, message: str
) -> None:
    said: list[str] = []
    assert found(top, "a", word, complaints=said) == []
    assert len(said) == 1
    assert said[0].startswith(message)


def test_lookup_finds_a_file_and_nothing_else(top: Path) -> None:
    with Repository.open(top) as repository:
        tree = WorkTree(repository, str(top / "d"))
        assert tree.lookup("b") == AnnexedFile("d/b", "b", "b", Key.parse(key(2).encode()), True)
        assert [tree.lookup(word) for word in ("../d", "../plain", "nosuch", "../..", "")] == [
            None
        ] * 5


def test_names_that_are_not_utf8_survive(top: Path) -> None:
    name = os.fsdecode(b"bad\xff")
    (top / name).symlink_to(f".git/annex/objects/xx/yy/{key(6)}/{key(6)}")
    subprocess.run(["git", "add", os.fsencode(name)], cwd=top, check=True)
    assert name in [f.shown for f in found(top)]


def test_a_bare_repository_has_no_files(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "b.git"], check=True)
    with (
        Repository.open(tmp_path / "b.git") as repository,
        pytest.raises(ShoalError, match="You cannot run this command in a bare repository"),
    ):
        WorkTree(repository)

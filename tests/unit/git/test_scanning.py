"""Reading single files and whole commits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from shoal.git.process import CatFile, Git, GitError, GitObject
from shoal.git.scanning import TreeReader, scan_tree
from tests.support.gitrepo import git, put_on_branch


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "--bare", "repo")
    return tmp_path / "repo"


def test_single_files_before_and_after_the_top_tree_is_kept(repo: Path) -> None:
    files = {f"{i:03x}/{i:03x}/K{i}.log": f"{i}\n" for i in range(40)}
    commit = put_on_branch(repo, {**files, "uuid.log": "u\n"})
    newer = put_on_branch(repo, {**files, "000/000/K0.log": "new\n"}, parents=(commit,))
    cat = CatFile(Git(str(repo)))
    reader = TreeReader(cat)
    for _ in range(2):
        for name, content in files.items():
            assert reader.read(commit, name) == content.encode()
        assert reader.read(commit, "uuid.log") == b"u\n"
        assert reader.read(commit, "000/000/none.log") == b""
        assert reader.read(commit, "fff/000/none.log") == b""
        assert reader.read(commit, "none.log") == b""
        for _ in range(20):
            assert reader.read(newer, "000/000/K0.log") == b"new\n"
    cat.close()


def test_large_and_odd_files_are_streamed(repo: Path) -> None:
    files = {"big": b"x\n" * 300_000, "empty": b"", "with space/ü.log": b"\0\n\n", "last": b"l"}
    commit = put_on_branch(repo, files)
    assert dict(scan_tree(Git(str(repo)), commit)) == files
    assert dict(scan_tree(Git(str(repo)), commit, lambda p: p == "last")) == {"last": b"l"}


def test_a_missing_commit_is_an_error(repo: Path) -> None:
    with pytest.raises(GitError, match="ls-tree or cat-file failed: not a tree object"):
        list(scan_tree(Git(str(repo)), "1" * 40))


def test_a_missing_blob_is_an_error(repo: Path) -> None:
    commit = put_on_branch(repo, {"a": "one", "b": "two"})
    blob = git(repo, "rev-parse", f"{commit}:a")
    (repo / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(GitError, match="a blob of the git-annex branch is missing"):
        list(scan_tree(Git(str(repo)), commit))


class Questions:
    """Counts the questions to git."""

    def __init__(self, cat: CatFile) -> None:
        self._cat = cat
        self.asked: list[bytes] = []

    def read(self, name: bytes) -> GitObject | None:
        self.asked.append(name)
        return self._cat.read(name)

    def read_many(self, names: Sequence[bytes]) -> list[GitObject | None]:
        self.asked.extend(names)
        return self._cat.read_many(names)


def test_git_is_not_asked_for_files_whose_directories_are_not_there(repo: Path) -> None:
    files = {"aaa/bbb/old.log": "1\n", "aaa/ccc/old.log": "2\n"}
    commit = put_on_branch(repo, files)
    cat = CatFile(Git(str(repo)))
    questions = Questions(cat)
    reader = TreeReader(questions)
    for number in range(10):  # from some questions on the directories are noted
        assert reader.read(commit, f"aaa/bbb/{number}.log") == b""
    questions.asked.clear()
    assert reader.read(commit, "aaa/ddd/new.log") == b""
    assert reader.read(commit, "fff/bbb/new.log") == b""
    assert reader.read(commit, "fff/new.log") == b""
    assert questions.asked == []
    assert reader.read(commit, "aaa/bbb/old.log") == b"1\n"
    assert len(questions.asked) == 1
    cat.close()


def test_what_is_known_of_directories_follows_commits(repo: Path) -> None:
    files = {"aaa/bbb/old.log": "1\n", "ccc/ddd/old.log": "2\n", "eee.log": "3\n"}
    commit = put_on_branch(repo, files)
    new = {"aaa/xxx/new.log": "4\n", "yyy/zzz/new.log": "5\n", "vvv/new.log": "6\n", "w": "7\n"}
    newer = put_on_branch(repo, {**files, **new}, parents=(commit,))
    cat = CatFile(Git(str(repo)))
    questions = Questions(cat)
    reader = TreeReader(questions)
    for number in range(10):
        reader.read(commit, f"aaa/bbb/{number}.log")
    reader.follow(commit, newer, new)
    questions.asked.clear()
    for absent in ("aaa/none/K.log", "none/zzz/K.log", "yyy/none/K.log", "none/K.log"):
        assert reader.read(newer, absent) == b""
    assert questions.asked == []
    for name, content in {**files, **new}.items():
        assert reader.read(newer, name) == content.encode()
    assert reader.read(newer, "ccc/none/K.log") == b""
    reader.follow("f" * 40, commit, [])  # not what was known: nothing is known of that
    assert reader.read(commit, "aaa/bbb/old.log") == b"1\n"
    assert reader.read(commit, "aaa/xxx/new.log") == b""
    cat.close()

"""Reading single files and whole commits."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.git.process import CatFile, Git, GitError
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

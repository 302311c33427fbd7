"""Running git: errors, streams, and the kept cat-file process."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from shoal.git.process import CatFile, Git, GitError, clean_environment, entries_of
from tests.support.annexrepo import git as run_git


@pytest.fixture
def git(tmp_path: Path) -> Git:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "repo"], check=True)
    return Git(str(tmp_path / "repo"))


def _store(git: Git, content: bytes) -> bytes:
    return git.run("hash-object", "-w", "--stdin", data=content).strip()


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_output_input_and_single_lines(git: Git) -> None:
    sha = git.line("hash-object", "-w", "--stdin", data=b"one\n")
    assert git.run("cat-file", "blob", sha) == b"one\n"


def test_a_failure_says_which_command_and_why(git: Git) -> None:
    with pytest.raises(GitError, match=r"^git rev-parse failed: Needed a single revision$") as info:
        git.run("rev-parse", "--verify", "nosuch")
    assert info.value.status == 128
    assert git.run("config", "nosuch.key", ok=(0, 1)) == b""


def test_a_missing_git_is_an_error_of_ours(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(GitError, match="git rev-parse failed: No such file or directory: git"):
        git.run("rev-parse", "--git-dir")


def test_the_environment_names_no_other_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/elsewhere/index")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'annex.private=true'")
    environment = clean_environment({"GIT_INDEX_FILE": "/mine"})
    assert "GIT_DIR" not in environment
    assert environment["GIT_INDEX_FILE"] == "/mine"
    assert environment["GIT_CONFIG_PARAMETERS"] == "'annex.private=true'"


def test_feeding_many_lines(git: Git) -> None:
    sha = _store(git, b"x")
    out = git.feed("cat-file", "--batch-check", lines=(sha + b"\n" for _ in range(20_000)))
    assert out == (sha + b" blob 1\n") * 20_000
    with pytest.raises(GitError, match="update-index"):
        git.feed("update-index", "--index-info", lines=[b"garbage\n"] * 100_000)


def test_reading_ends_the_command_when_left_early(git: Git) -> None:
    for _ in range(3000):
        pass
    sha = _store(git, b"y" * 1_000_000)
    before = _children()
    with git.reading("cat-file", "blob", sha.decode()) as out:
        assert out.read(1) == b"y"
    with git.reading("cat-file", "blob", sha.decode()) as out:
        assert len(out.read()) == 1_000_000
    with pytest.raises(GitError), git.reading("cat-file", "blob", "nosuch") as out:
        out.read()
    assert _children() == before


def test_cat_file_reads_present_and_missing_objects(git: Git) -> None:
    contents = [b"", b"one\n", b"no newline", b"\0\n\xff" * 50_000]
    shas = [_store(git, content) for content in contents]
    cat = CatFile(git)
    found = cat.read_many([*shas, b"refs/heads/none:x y.log", shas[1]])
    assert [None if one is None else one.content for one in found] == [*contents, None, contents[1]]
    one = cat.read(shas[1])
    assert one is not None
    assert (one.sha.encode(), one.kind) == (shas[1], "blob")
    with pytest.raises(ValueError, match="newline"):
        cat.read(b"a\nb")
    cat.close()


def test_cat_file_answers_thousands_of_questions_with_large_answers(git: Git) -> None:
    sha = _store(git, b"z" * 30_000)
    cat = CatFile(git)
    assert sum(len(one.content) for one in cat.read_many([sha] * 2000) if one) == 60_000_000
    cat.close()


def test_cat_file_is_restarted_and_leaves_no_zombie(git: Git) -> None:
    sha = _store(git, b"again")
    before = _children()
    cat = CatFile(git)
    assert cat.read(sha)
    (child,) = _children() - before
    os.kill(int(child), signal.SIGKILL)
    one = cat.read(sha)
    assert one is not None
    assert one.content == b"again"
    assert child not in _children()
    cat.close()
    assert _children() == before


def test_cat_file_that_cannot_run_is_a_clear_error(tmp_path: Path) -> None:
    cat = CatFile(Git(str(tmp_path / "gone")))
    with pytest.raises(GitError, match=r"git cat-file failed: not a git repository: '.*gone'"):
        cat.read(b"HEAD")


def test_cat_file_is_shared_by_threads(git: Git) -> None:
    shas = [_store(git, b"%d" % i * 1000) for i in range(8)]
    cat = CatFile(git)
    wrong: list[int] = []

    def ask(i: int) -> None:
        for _ in range(100):
            one = cat.read(shas[i])
            if one is None or one.content != b"%d" % i * 1000:
                wrong.append(i)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cat.close()
    assert wrong == []


def test_without_index_compares_trees(tmp_path: Path) -> None:
    """A damaged index, as an example of one that takes long to read, is left alone."""
    repo = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    (repo / "f").write_bytes(b"x")
    run_git(repo, "add", "f")
    tree = run_git(repo, "write-tree").strip()
    empty = run_git(repo, "hash-object", "-w", "-t", "tree", "--stdin").strip()
    (repo / ".git" / "index").write_bytes(b"damaged")
    words = ("diff-tree", "-r", "--name-only", empty, tree)
    runner = Git(str(repo / ".git"))
    assert runner.without_index().line(*words) == "f"
    with pytest.raises(GitError):
        runner.line(*words)


@pytest.mark.parametrize("length", [0, 1, 7, 1 << 16, (1 << 16) - 1, 100_000])
def test_entries_are_whole_wherever_the_output_is_cut(length: int) -> None:
    entries = [b"first", b"x" * length, b"last"]
    assert list(entries_of(io.BytesIO(b"".join(one + b"\0" for one in entries)))) == entries

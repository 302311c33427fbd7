"""git-annex's own hooks, blobs in bulk, and the clock."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from shoal.git.blobs import BlobWriter
from shoal.git.clock import candidate_clock
from shoal.git.config import GitConfig
from shoal.git.hooks import Hooks
from shoal.git.process import Git, GitError
from shoal.values.clock import SECOND
from tests.support.gitrepo import git


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "--bare", "repo")
    (tmp_path / "repo" / "hooks").mkdir(exist_ok=True)
    return tmp_path / "repo"


def _hooks(repo: Path) -> Hooks:
    return Hooks(str(repo), str(repo), GitConfig(Git(str(repo)), (str(repo / "config"),)))


def _write(repo: Path, text: str) -> None:
    hook = repo / "hooks" / "some-annex"
    hook.write_text("#!/bin/sh\n" + text)
    hook.chmod(0o755)


def test_no_hook_is_no_failure(repo: Path) -> None:
    assert _hooks(repo).run("some-annex", "annex.some-command")
    assert _hooks(repo).output("some-annex", "annex.some-command") is None


def test_a_hook_comes_before_a_configured_command(
    repo: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    git(repo, "config", "annex.some-command", "echo configured; pwd")
    assert _hooks(repo).output("some-annex", "annex.some-command") == f"configured\n{repo}\n"
    _write(repo, "echo $EXTRA\n")
    assert _hooks(repo).run("some-annex", "annex.some-command", {"EXTRA": "given"})
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "given\n")


def test_a_failing_hook_is_a_warning(repo: Path, caplog: pytest.LogCaptureFixture) -> None:
    _write(repo, "echo words; exit 3\n")
    with caplog.at_level(logging.WARNING):
        assert not _hooks(repo).run("some-annex", "annex.some-command")
        assert _hooks(repo).output("some-annex", "annex.some-command") is None
    assert caplog.messages == [f"{repo}/hooks/some-annex failed"] * 2


def test_blobs_in_bulk(repo: Path) -> None:
    contents = [b"", b"one\n", b"\0" * 200_000, *(b"%d" % i for i in range(300))]
    with BlobWriter(Git(str(repo)), "sha1") as blobs:
        names = [blobs.write(content) for content in contents]
    for name, content in zip(names, contents, strict=True):
        assert Git(str(repo)).run("cat-file", "blob", name) == content
    assert list((repo / "objects" / "pack").glob("*.pack"))


def test_no_blobs_need_no_git(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with BlobWriter(Git(str(repo)), "sha1"):
        pass


def test_blobs_that_cannot_be_written(tmp_path: Path) -> None:
    def write() -> None:
        with BlobWriter(Git(str(tmp_path / "gone")), "sha1") as blobs:
            for number in range(100_000):
                blobs.write(b"%d" % number)

    with pytest.raises(GitError, match="fast-import failed: not a git repository"):
        write()


def test_an_error_while_writing_blobs_is_not_hidden(repo: Path) -> None:
    def write() -> None:
        with BlobWriter(Git(str(repo)), "sha1") as blobs:
            blobs.write(b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert not list(repo.glob("fast_import_crash*"))


def test_the_clock_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_ANNEX_VECTOR_CLOCK", "300.5s")
    assert candidate_clock() == 300.5 * SECOND
    monkeypatch.delenv("GIT_ANNEX_VECTOR_CLOCK")
    assert candidate_clock() % SECOND == 0

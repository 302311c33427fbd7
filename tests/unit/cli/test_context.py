"""Options of every command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal import debug
from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.remotes.p2phttp import http_options
from tests.support.gitrepo import git, make_repository


@pytest.fixture(autouse=True)
def repo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, close_repositories: None
) -> Iterator[Path]:
    make_repository(tmp_path / "repo", bare=False)
    monkeypatch.chdir(tmp_path / "repo")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "0")
    yield tmp_path / "repo"
    debug.disable()


def _context(*words: str) -> Context:
    return Context("find", Parser("find", "").parse(words))


def test_user_agent_is_sent_after_configured_headers(repo: Path) -> None:
    git(repo, "config", "annex.http-headers", "X-Token: 1")
    options = http_options(_context("--user-agent", "me/1").repository.config)
    assert options.headers == (("X-Token", "1"), ("User-Agent", "me/1"))


@pytest.mark.parametrize(
    ("words", "configured", "shown"),
    [
        ((), "false", False), ((), "true", True), (("--debug",), "false", True),
        (("--no-debug",), "true", False), (("-d", "--no-debug"), "true", False),
    ],
)  # fmt: skip
def test_debug(
    words: tuple[str, ...], configured: str, shown: bool, repo: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    git(repo, "config", "annex.debug", configured)
    _context(*words).repository.git.run("version")
    assert (" version\n" in capfd.readouterr().err) is shown


@pytest.mark.parametrize(("words", "shown"), [((), False), (("--debugfilter", "git"), True)])
def test_debugfilter(words: tuple[str, ...], shown: bool, repo: Path) -> None:
    git(repo, "config", "annex.debugfilter", "transport, server")
    assert _context("--debug", *words).repository.is_initialised
    assert debug.is_shown("git.process") is shown
    assert debug.is_shown("server") is not shown


def test_trust_glacier_says_that_it_does_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    _context("--trust-glacier")
    assert capfd.readouterr().err == "shoal: --trust-glacier no longer has any effect\n"

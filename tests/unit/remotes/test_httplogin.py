"""Passwords for HTTP servers, from git's credential helpers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shoal.git.process import Git
from shoal.remotes.httplogin import Login
from tests.support.loop import in_loop

URL = "annex+http://example.org:9417/git-annex/"
CHALLENGE = 'Basic realm="git-annex"'


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """git with a helper that gives the passwords p1, p2, … and logs what it is told."""
    helper = tmp_path / "helper"
    helper.write_text(
        f'#!/bin/sh\ncd {tmp_path}\necho "$1" >> log\ncat >> log\n'
        'if test "$1" = get; then\n'
        "  echo x >> count; printf 'username=u\\npassword=p%d\\n' $(wc -l < count)\nfi\n"
    )
    helper.chmod(0o755)
    return Git(None).with_environment(
        GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="credential.helper", GIT_CONFIG_VALUE_0=str(helper)
    )


def log(tmp_path: Path) -> list[str]:
    return (tmp_path / "log").read_text().splitlines()


@in_loop
async def test_without_git_there_is_no_password() -> None:
    login = Login()
    assert not await login.renew(None, CHALLENGE)
    assert login.header is None
    await login.worked(None)


@in_loop
async def test_helpers_are_asked_once_and_told_once(git: Git, tmp_path: Path) -> None:
    login = Login(git, URL)
    assert await asyncio.gather(*[login.renew(None, CHALLENGE) for _ in range(5)]) == [True] * 5
    assert login.header == "Basic dTpwMQ=="
    await asyncio.gather(*[login.worked(login.header) for _ in range(5)])
    told = log(tmp_path)
    assert [line for line in told if line in {"get", "store", "erase"}] == ["get", "store"]
    assert "protocol=annex+http" in told
    assert "host=example.org:9417" in told
    assert "path=git-annex" in told


@in_loop
async def test_a_refused_password_is_forgotten_and_the_next_one_asked_for(
    git: Git, tmp_path: Path
) -> None:
    login = Login(git, URL)
    await login.renew(None, CHALLENGE)
    refused = login.header
    assert not await login.renew(refused, CHALLENGE)
    assert login.header is None
    assert "erase" in log(tmp_path)
    assert not await login.renew(refused, CHALLENGE)  # a request that was sent with it before
    assert await login.renew(None, CHALLENGE)
    assert login.header == "Basic dTpwMg=="


@in_loop
async def test_a_helper_without_an_answer(tmp_path: Path) -> None:
    none = Git(None).with_environment(
        GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="credential.helper", GIT_CONFIG_VALUE_0="!true",
        GIT_ASKPASS="false", GIT_TERMINAL_PROMPT="0",
    )  # fmt: skip
    login = Login(none, URL)
    assert not await login.renew(None, "evil\nwwwauth[]=header")


@in_loop
async def test_what_worked_is_only_what_was_sent(git: Git, tmp_path: Path) -> None:
    login = Login(git, URL)
    await login.renew(None, CHALLENGE)
    await login.worked(None)
    assert "store" not in log(tmp_path)

"""A remote over ssh, with either program's shell at the other end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shoal.errors import RemoteUnavailable
from shoal.git.repository import Repository
from shoal.remotes.base import Remote, RemoteInfo
from shoal.remotes.settings import Kind, RemoteSettings
from shoal.remotes.ssh import SshSockets, ssh_remote
from tests.support.annexrepo import HERE, THERE, key_of, make_annex
from tests.support.loop import in_loop
from tests.unit.remotes.contract import CALLER, LARGE, SMALL, RemoteContract, put, read


class TestShoalShell(RemoteContract):
    """shoal-shell, started as ssh starts it."""

    shell = "shoal-shell"

    @pytest.fixture(autouse=True)
    def _ssh_to_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GIT_ANNEX_USE_GIT_SSH", "1")
        monkeypatch.setenv("GIT_SSH_COMMAND", 'f() { shift; sh -c "$1"; }; f')

    @asynccontextmanager
    async def opened(self, directory: Path) -> AsyncIterator[Remote]:
        path = directory / "there"
        make_annex(path, bare=True).close()
        make_annex(directory / "here", uuid=THERE).close()
        settings = RemoteSettings(
            "there", Kind.SSH, f"host:{path}", HERE, 200.0, 200.0, shell=self.shell
        )
        with Repository.open(directory / "here") as repository:
            sockets = SshSockets(repository)
            remote = ssh_remote(repository, settings, RemoteInfo(HERE, "there"), sockets)
            yield remote
            await remote.aclose()
            sockets.close()

    @in_loop
    async def test_a_lock_keeps_content(self, tmp_path: Path) -> None:
        """One lock only: two processes that lock at once leave a retention of ten minutes."""
        async with self.opened(tmp_path) as remote:
            key = await put(remote, SMALL)
            async with remote.lock_content(key, caller=CALLER):
                assert not (await remote.remove(key, caller=CALLER)).removed
                assert await read(remote, key) == SMALL
            assert (await remote.remove(key, caller=CALLER)).removed


class TestGitAnnexShell(TestShoalShell):
    """The real one."""

    shell = "git-annex-shell"

    @in_loop
    async def test_one_upload_of_a_key_at_a_time(self, tmp_path: Path) -> None:
        """It ends the connection of whoever comes second, before or after its first bytes."""
        async with self.opened(tmp_path) as remote:
            results = await asyncio.gather(
                *(put(remote, LARGE) for _ in range(4)), return_exceptions=True
            )
            lost = [result for result in results if isinstance(result, BaseException)]
            assert all(isinstance(one, RemoteUnavailable | AssertionError) for one in lost)
            assert await read(remote, key_of(LARGE)) == LARGE

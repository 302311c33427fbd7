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
        script = f'f() {{ shift; echo "$1" >> {tmp_path}/started; sh -c "$1"; }}; f'
        monkeypatch.setenv("GIT_SSH_COMMAND", script)

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

    @in_loop
    async def test_who_leaves_downloads_finds_a_shell_ready(self, tmp_path: Path) -> None:
        """Each download that is left costs a connection; there is one spare, never two."""
        content = bytes(10 << 20)
        async with self.opened(tmp_path) as remote:
            key = await put(remote, content)
            for _ in range(3):
                async with remote.retrieve(key, caller=CALLER) as download:
                    await anext(aiter(download.stream()))
            assert await read(remote, key) == content
        started = (tmp_path / "started").read_text().splitlines()
        assert len(started) in {4, 5}  # the last spare may have been given up before it began


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

"""Remotes made from settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.errors import ConfigError, RemoteUnavailable
from shoal.git.repository import Repository
from shoal.remotes.base import RemoteInfo
from shoal.remotes.instantiate import Opener, credential_url
from shoal.remotes.p2phttp import P2PHttpRemote
from shoal.remotes.p2pstream import P2PStreamRemote
from shoal.remotes.settings import Kind, RemoteSettings
from shoal.remotes.unusable import UnusableRemote
from shoal.values.uuid import UUID
from tests.support.loop import in_loop
from tests.support.memory_remote import key_of
from tests.support.world import World

UUID_THERE = UUID("11111111-1111-4111-8111-111111111111")
KEY = key_of(b"x")


@pytest.fixture
def here(world: World) -> Path:
    path = world.root / "here"
    world.run("git", "init", "-q", path)
    world.git(path, "config", "annex.uuid", "22222222-2222-4222-8222-222222222222")
    world.git(path, "config", "annex.version", "10")
    return path


def settings(kind: Kind, location: str, uuid: UUID | None = UUID_THERE) -> RemoteSettings:
    return RemoteSettings("r", kind, location, uuid, 7.0, 100.0, read_only=True)


@in_loop
async def test_remotes_that_are_not_there_are_made_and_unavailable(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    path = world.root / "here"
    world.run("git", "init", "-q", path)
    world.git(path, "config", "annex.uuid", "22222222-2222-4222-8222-222222222222")
    world.git(path, "config", "annex.version", "10")
    world.git(path, "config", "annex.security.allowed-ip-addresses", "all")
    with Repository.open(path) as repository:
        opener = Opener(repository)
        for kind, location in (
            (Kind.PATH, str(tmp_path / "gone")),
            (Kind.HTTP, "annex+http://127.0.0.1:1/git-annex/"),
            (Kind.SSH, "ssh://nowhere.invalid/repo"),
        ):
            remote = opener.open(settings(kind, location))
            info = remote.info
            assert (info.uuid, info.name, info.cost, info.read_only) == (UUID_THERE, "r", 7, True)
            with pytest.raises(RemoteUnavailable):
                await remote.check_present(KEY)
            await remote.aclose()
        await opener.aclose()


@pytest.mark.parametrize(
    ("kind", "location"),
    [
        (Kind.HTTP, "annex+http://h:1/git-annex/"),
        (Kind.SSH, "h:repo"),
        (Kind.P2P, "tor-annex::a:1"),
    ],
)
@in_loop
async def test_what_they_keep_meanwhile_is_bounded(here: Path, kind: Kind, location: str) -> None:
    with Repository.open(here) as repository:
        repository.config.set("annex.diskreserve", "7 kB")
        opener = Opener(repository)
        remote = opener.open(settings(kind, location))
        assert isinstance(remote, P2PHttpRemote | P2PStreamRemote)
        assert remote.reserve() == 7000
        repository.keeps_reserve = False
        assert remote.reserve() is None
        await remote.aclose()
        await opener.aclose()


@pytest.mark.parametrize("kind", [Kind.SPECIAL, Kind.OTHER])
def test_kinds_that_cannot_be_used(here: Path, kind: Kind) -> None:
    with (
        Repository.open(here) as repository,
        pytest.raises(ConfigError, match="cannot be used"),
    ):
        Opener(repository).open(settings(kind, "somewhere"))


def test_a_remote_without_a_known_uuid(here: Path) -> None:
    with Repository.open(here) as repository, pytest.raises(ConfigError, match="is not known"):
        Opener(repository).open(settings(Kind.PATH, "/x", None))


@pytest.mark.parametrize(
    ("git_url", "asked"),
    [
        ("https://h/repo", "https://h/repo"),
        ("http://h:8080/repo", "http://h:8080/repo"),
        ("https://other/repo", "annex+https://h:9417/git-annex/"),
        ("ssh://h/repo", "annex+https://h:9417/git-annex/"),
        ("/srv/repo", "annex+https://h:9417/git-annex/"),
    ],
)
def test_what_credential_helpers_are_asked_about(git_url: str, asked: str) -> None:
    remote = RemoteSettings(
        "r", Kind.HTTP, "annex+https://h:9417/git-annex/", None, 1, 1, git_url=git_url
    )
    assert credential_url(remote) == asked


@in_loop
async def test_an_unusable_remote_knows_nothing() -> None:
    remote = UnusableRemote(RemoteInfo(UUID_THERE, "r"), "no ssh here")
    assert remote.info.uuid == UUID_THERE
    for call in (
        remote.check_present(KEY),
        remote.begin_store(KEY),
        remote.store_present(KEY),
        remote.remove(KEY),
        remote.timestamp(),
    ):
        with pytest.raises(RemoteUnavailable, match="no ssh here"):
            await call
    for context in (remote.retrieve(KEY), remote.lock_content(KEY)):
        with pytest.raises(RemoteUnavailable, match="no ssh here"):
            await context.__aenter__()

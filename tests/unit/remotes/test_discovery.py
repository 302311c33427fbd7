"""Finding out UUIDs of remotes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shoal.git.repository import Repository
from shoal.remotes.discovery import learn_uuids, uuid_at
from tests.support.fake_ssh import Ssh
from tests.support.world import World

UUID_THERE = "11111111-1111-4111-8111-111111111111"


def plain(world: World, name: str, uuid: str = "") -> Path:
    """Make a repository that has just what is read of it."""
    path = world.root / name
    world.run("git", "init", "-q", path)
    if uuid:
        world.git(path, "config", "annex.uuid", uuid)
        world.git(path, "config", "annex.version", "10")
    return path


def learn(world: World, here: Path) -> tuple[list[str], dict[str, str]]:
    """Give the warnings, and the remotes' settings afterwards."""
    with Repository.open(here) as repository:
        warnings = learn_uuids(repository)
    lines = world.git(here, "config", "--local", "--get-regexp", r"^remote\..*\.annex").splitlines()
    return warnings, dict(line.partition(" ")[::2] for line in lines)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Serve files over HTTP; give the URL."""
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_uuid_at_a_path(world: World) -> None:
    assert uuid_at(str(plain(world, "there", UUID_THERE))) == UUID_THERE
    assert uuid_at(str(plain(world, "no-annex"))) is None
    assert uuid_at(str(world.root)) is None
    assert uuid_at(str(world.root / "nothing")) is None


def test_a_repository_at_a_path_is_asked(world: World) -> None:
    here = plain(world, "here", UUID_THERE.replace("1", "2"))
    plain(world, "there", UUID_THERE)
    world.git(here, "remote", "add", "there", "../there")
    world.git(here, "remote", "add", "gone", "../gone")
    assert learn(world, here) == ([], {"remote.there.annex-uuid": UUID_THERE})


def test_what_is_known_or_ignored_is_left_alone(world: World) -> None:
    here = plain(world, "here", UUID_THERE.replace("1", "2"))
    plain(world, "there", UUID_THERE)
    for name, key, value in (("known", "annex-uuid", "x"), ("ignored", "annex-ignore", "true")):
        world.git(here, "remote", "add", name, "../there")
        world.git(here, "config", f"remote.{name}.{key}", value)
    known = {"remote.known.annex-uuid": "x", "remote.ignored.annex-ignore": "true"}
    assert learn(world, here) == ([], known)


def test_a_server_with_an_annex_url_is_asked_over_ssh(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As git-annex does: the P2P protocol over HTTP cannot be used without a UUID."""
    Ssh(world, monkeypatch).install()
    here = plain(world, "here", UUID_THERE.replace("1", "2"))
    there = plain(world, "there", UUID_THERE)
    world.git(here, "remote", "add", "there", f"ssh://server{there}")
    url = {"remote.there.annexurl": "annex+http://localhost:1/git-annex/"}
    world.git(here, "config", "remote.there.annexUrl", url["remote.there.annexurl"])
    assert learn(world, here) == ([], {**url, "remote.there.annex-uuid": UUID_THERE})


@pytest.mark.parametrize("annex_url", ["", "annex+http://example.org/git-annex/"])
def test_a_web_server_is_asked_for_its_configuration(world: World, annex_url: str) -> None:
    here = plain(world, "here", UUID_THERE.replace("1", "2"))
    there = plain(world, "there", UUID_THERE)
    expected = {"remote.web.annex-uuid": UUID_THERE, "remote.web.annex-bare": "false"}
    if annex_url:
        world.git(there, "config", "annex.url", annex_url)
        expected["remote.web.annexurl"] = annex_url
    with web_server(there / ".git") as url:
        world.git(here, "remote", "add", "web", url)
        assert learn(world, here) == ([], expected)


def test_a_web_server_without_a_repository_is_ignored_from_now_on(world: World) -> None:
    here = plain(world, "here", UUID_THERE.replace("1", "2"))
    with web_server(world.root) as url:
        world.git(here, "remote", "add", "web", f"{url}/nothing")
        warnings, settings = learn(world, here)
    assert warnings == [
        "Remote web not usable by git-annex; setting annex-ignore",
        f"{url}/nothing/config 404 File not found",
    ]
    assert settings == {"remote.web.annex-ignore": "true", "remote.web.annex-ignore-auto": "true"}


def test_a_web_server_with_a_repository_without_annex(world: World) -> None:
    here = plain(world, "here", UUID_THERE.replace("1", "2"))
    there = plain(world, "there")
    with web_server(there / ".git") as url:
        world.git(here, "remote", "add", "web", url)
        warnings, settings = learn(world, here)
    assert warnings == ["Failed to get annex.uuid configuration of repository web"]
    assert "remote.web.annex-uuid" not in settings

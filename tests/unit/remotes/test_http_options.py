"""What git config says about requests over HTTP."""

from __future__ import annotations

from shoal.git.repository import Repository
from shoal.remotes.p2phttp import http_options
from shoal.transport.addresses import PUBLIC_ONLY
from shoal.transport.http_client import HttpOptions
from tests.support.world import World


def test_only_public_addresses_by_default(world: World) -> None:
    repo = world.make("repo")
    world.git(repo, "config", "--global", "--unset-all", "annex.security.allowed-ip-addresses")
    with Repository.open(repo) as repository:
        assert http_options(repository.config) == HttpOptions(PUBLIC_ONLY)


def test_headers_and_addresses(world: World) -> None:
    repo = world.make("repo")
    world.git(repo, "config", "--global", "--unset-all", "annex.security.allowed-ip-addresses")
    for name, value in (
        ("annex.http-headers", "X-One: 1: a"),
        ("annex.http-headers", "X-Two:2"),
        ("annex.http-headers", "no header"),
        ("annex.security.allowed-http-addresses", "127.0.0.1"),
    ):
        world.git(repo, "config", "--add", name, value)
    with Repository.open(repo) as repository:
        options = http_options(repository.config)
    assert options.headers == (("X-One", "1: a"), ("X-Two", "2"))
    assert options.allowed.allow("127.0.0.1", 1)
    assert not options.allowed.allow("10.0.0.1", 1)

"""Remotes as git config and proxy.log describe them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shoal.git.repository import Repository
from shoal.logs.proxy import Proxied
from shoal.remotes.settings import (
    CHEAP,
    EXPENSIVE,
    VERY_EXPENSIVE,
    Kind,
    RemoteSettings,
    by_cost,
    configured_remotes,
    proxied_remotes,
    remotes_of,
)
from shoal.values.uuid import UUID
from tests.support.world import World

N1, N2, GW = (UUID(f"{n}0000000-0000-4000-8000-000000000000") for n in (1, 2, 3))
CLUSTER = UUID("ac000000-0000-8000-8000-000000000000")


@pytest.fixture
def repo(world: World) -> Path:
    path = world.root / "repo"
    world.run("git", "init", "-q", path)
    return path


def configure(world: World, repo: Path, text: str) -> dict[str, RemoteSettings]:
    """Append to a repository's configuration; give its remotes by name."""
    with (repo / ".git" / "config").open("a") as file:
        file.write(text)
    with Repository.open(repo) as opened:
        return {one.name: one for one in configured_remotes(opened.config, opened.path)}


@pytest.mark.parametrize(
    ("url", "kind", "location"),
    [
        ("../n1", Kind.PATH, "{top}/n1"),
        ("/srv/n1.git", Kind.PATH, "/srv/n1.git"),
        ("file:///srv/n%201", Kind.PATH, "/srv/n 1"),
        ("~/n1", Kind.PATH, "{home}/n1"),
        ("dir/with:colon", Kind.PATH, "{top}/repo/dir/with:colon"),
        ("ssh://host/srv/n1", Kind.SSH, "ssh://host/srv/n1"),
        ("user@host:n1", Kind.SSH, "user@host:n1"),
        ("https://example.org/n1", Kind.OTHER, "https://example.org/n1"),
        ("gcrypt::ssh://host/x", Kind.OTHER, "gcrypt::ssh://host/x"),
        ("tor-annex::abc.onion:5", Kind.P2P, "tor-annex::abc.onion:5"),
        ("p2p-annex::net:a:b/c", Kind.P2P, "p2p-annex::net:a:b/c"),
    ],
)
def test_where_a_remote_is(world: World, repo: Path, url: str, kind: Kind, location: str) -> None:
    remote = configure(world, repo, f'[remote "r"]\nurl = {url}\n')["r"]
    home = world.root.parent / "home"
    assert remote.kind is kind
    assert remote.location == location.format(top=world.root, home=home)
    costs = {Kind.PATH: CHEAP, Kind.P2P: VERY_EXPENSIVE}
    assert remote.cost == costs.get(kind, EXPENSIVE)


def test_an_annex_url_over_http_counts_more_than_the_url(world: World, repo: Path) -> None:
    text = '[remote "r"]\nurl = ../gw\nannexUrl = annex+http://host/git-annex/\n'
    remote = configure(world, repo, text)["r"]
    assert (remote.kind, remote.location) == (Kind.HTTP, "annex+http://host/git-annex/")
    assert remote.cost == CHEAP  # the git url is a path: as with the real program


def test_another_annex_url_replaces_the_url(world: World, repo: Path) -> None:
    text = '[remote "r"]\nurl = ssh://host/x\nannexUrl = /srv/x\n'
    assert configure(world, repo, text)["r"].location == "/srv/x"


def test_urls_can_be_replaced_by_prefix(world: World, repo: Path) -> None:
    text = """
[url "/srv/"]
    insteadOf = s:
[url "/srv/special/"]
    insteadOf = s:sp/
[url "annex+https://h/"]
    annexInsteadOf = https://h/
[remote "a"]
    url = s:n1
[remote "b"]
    url = s:sp/n2
[remote "c"]
    url = https://h/git-annex/
"""
    found = configure(world, repo, text)
    assert found["a"].location == "/srv/n1"
    assert found["b"].location == "/srv/special/n2"
    assert (found["c"].kind, found["c"].location) == (Kind.HTTP, "annex+https://h/git-annex/")


def test_settings_and_their_defaults(world: World, repo: Path) -> None:
    text = f"""
[annex]
    sync = false
[remote "a"]
    url = ../a
    annex-uuid = {N1}
    annex-cost = 7.5
    annex-ignore = true
    annex-readonly
    annex-sync = true
    annex-proxy = yes
    annex-cluster-node = one two
    annex-cluster-gateway = {CLUSTER} {N2}
[remote "b"]
    url = ../b
    annex-cluster-node =
"""
    found = configure(world, repo, text)
    a, b = found["a"], found["b"]
    assert (a.uuid, a.cost, a.ignore, a.read_only, a.sync, a.proxy) == (
        N1, 7.5, True, True, True, True,
    )  # fmt: skip
    assert a.cluster_nodes == ("one", "two")
    assert a.cluster_gateways == (CLUSTER,)
    assert (b.uuid, b.cost, b.ignore, b.read_only, b.sync, b.proxy) == (
        None, CHEAP, False, False, False, False,
    )  # fmt: skip
    assert b.cluster_nodes == ()


def test_settings_that_commands_decide(world: World, repo: Path) -> None:
    text = """
[remote "a"]
    url = ../a
    annex-cost-command = echo 55
    annex-ignore-command = false
    annex-sync-command = false
[remote "b"]
    url = ../b
    annex-cost-command = echo nonsense
    annex-ignore-command = true
    annex-sync-command = true
"""
    found = configure(world, repo, text)
    assert [(r.cost, r.ignore, r.sync) for r in found.values()] == [
        (55, True, False),
        (CHEAP, False, True),
    ]


def test_remotes_are_sorted_as_git_annex_sorts_them(world: World, repo: Path) -> None:
    """By the name of the configuration's key, in which a dot follows the remote's name."""
    text = "".join(f'[remote "{name}"]\nurl = ../x\n' for name in ("b", "a", "a-b", "a.b"))
    text += f'[remote "special"]\nannex-directory = /x\nannex-uuid = {N1}\n'
    text += '[remote "nothing"]\nannex-cost = 5\n'
    assert list(configure(world, repo, text)) == ["a-b", "a", "a.b", "b", "special"]


def remote(name: str, cost: float = CHEAP) -> RemoteSettings:
    return RemoteSettings(name, Kind.PATH, "/x", None, cost, CHEAP)


def test_nodes_are_listed_cheapest_first_and_equals_from_the_last() -> None:
    given = [remote("n1"), remote("n2"), remote("cheap", 5), remote("n3")]
    assert [one.name for one in by_cost(given)] == ["cheap", "n3", "n2", "n1"]


# What a gateway makes available

GATEWAY = RemoteSettings(
    "gw", Kind.HTTP, "annex+http://h/git-annex/", GW, EXPENSIVE, EXPENSIVE, proxy=True
)
PUBLISHED = {GW: {Proxied(N2, "n2"), Proxied(CLUSTER, "cl"), Proxied(N1, "n1")}}


def test_a_remote_for_everything_that_a_gateway_publishes() -> None:
    found = proxied_remotes([GATEWAY], PUBLISHED, {CLUSTER: frozenset({N1})}, [])
    assert [(one.name, one.uuid, one.cost, one.sync) for one in found] == [
        ("gw-n1", N1, EXPENSIVE + 0.1, False),
        ("gw-n2", N2, EXPENSIVE, True),
        ("gw-cl", CLUSTER, EXPENSIVE, True),
    ]
    assert all(one.location == GATEWAY.location and one.proxy for one in found)
    assert all(one.proxied_by == GW and one.is_proxied for one in found)


def test_nodes_cost_more_than_the_cluster_whatever_is_configured() -> None:
    gateway = replace(GATEWAY, cost=50, sync=False)
    found = proxied_remotes([gateway], PUBLISHED, {CLUSTER: frozenset({N1})}, [])
    assert [one.cost for one in found] == [EXPENSIVE + 0.1, 50, 50]
    assert [one.sync for one in found] == [False, False, False]


def test_nodes_of_a_cluster_that_another_gateway_publishes_are_ordinary() -> None:
    published = {GW: {Proxied(N1, "n1")}}
    [found] = proxied_remotes([GATEWAY], published, {CLUSTER: frozenset({N1})}, [])
    assert (found.cost, found.sync) == (EXPENSIVE, True)


def test_what_a_gateway_is_configured_for_itself_is_not_inherited() -> None:
    gateway = replace(GATEWAY, cluster_nodes=("x",), cluster_gateways=(CLUSTER,))
    for one in proxied_remotes([gateway], PUBLISHED, {}, []):
        assert one.cluster_nodes is None
        assert one.cluster_gateways == ()


def test_any_setting_of_that_name_keeps_a_remote_from_being_made_up() -> None:
    taken = ["gw-n1.annex-cost", "gw-n", "other.url"]
    found = proxied_remotes([GATEWAY], PUBLISHED, {}, taken)
    assert [one.name for one in found] == ["gw-n2", "gw-cl"]


@pytest.mark.parametrize("kind", [Kind.PATH, Kind.OTHER, Kind.SPECIAL])
def test_gateways_that_cannot_proxy(kind: Kind) -> None:
    assert proxied_remotes([replace(GATEWAY, kind=kind)], PUBLISHED, {}, []) == []


def test_a_gateway_is_found_by_its_configuration_uuid() -> None:
    gateway = replace(GATEWAY, uuid=N1, config_uuid=GW)
    assert len(proxied_remotes([gateway], PUBLISHED, {}, [])) == 3
    assert proxied_remotes([replace(GATEWAY, uuid=None)], PUBLISHED, {}, []) == []


def test_remotes_of_a_repository(world: World) -> None:
    """The log that the real program reads, and a clone of it."""
    repo = world.make("repo")
    configure(
        world,
        repo,
        f'[remote "gw"]\nurl = ssh://h/gw\nannex-uuid = {GW}\nannex-ignore = true\n'
        f'[remote "a"]\nurl = ../a\nannex-uuid = {N1}\n'
        f'[remote "special"]\nannex-directory = /x\nannex-uuid = {N2}\n',
    )
    with Repository.open(repo) as opened:
        assert [one.name for one in remotes_of(opened)] == ["a", "gw", "special"]
        opened.logs.set_proxies(GW, PUBLISHED[GW])
        opened.logs.set_cluster(CLUSTER, [N1])
        assert [(one.name, one.ignore) for one in remotes_of(opened)] == [
            ("gw-n1", True),
            ("gw-n2", True),
            ("gw-cl", True),
            ("a", False),
            ("gw", True),
            ("special", False),
        ]

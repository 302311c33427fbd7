"""Which cluster a command is about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.annex.session import Session
from shoal.errors import ShoalError
from shoal.git.repository import Repository
from shoal.logs.proxy import Proxied
from shoal.logs.trust import TrustLevel
from shoal.operations.choosing import Cluster, choose_cluster
from shoal.values.uuid import UUID, cluster_uuid_from
from tests.support.annexrepo import HERE, git, make_annex

ONE, TWO, NODELESS = (cluster_uuid_from(f"{n}" * 8 + "-0000-4000-8000-000000000000") for n in "123")
A, B, GATEWAY = (UUID(letter * 8 + "-0000-4000-8000-000000000000") for letter in "abf")


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    found = make_annex(tmp_path / "repo")
    yield found
    found.close()


def configure(repository: Repository, **values: str) -> None:
    for name, value in values.items():
        git(Path(repository.path), "config", name.replace("__", "-").replace("_", "."), value)
    repository.config.reload()


def choose(repository: Repository, word: str | None = None) -> Cluster:
    session = Session(repository)
    try:
        return choose_cluster(session, word)
    finally:
        session.close()


def test_there_is_none(repository: Repository) -> None:
    with pytest.raises(ShoalError, match="no cluster is known in this repository") as caught:
        choose(repository)
    assert "shoal initcluster" in caught.value.hint


def test_the_only_one_of_this_gateway(repository: Repository) -> None:
    configure(repository, annex_cluster_mine=ONE)
    repository.logs.set_cluster(TWO, [A])  # another gateway's
    found = choose(repository)
    assert (found.uuid, found.name, found.is_here, found.nodes) == (ONE, "mine", True, ())


def test_the_only_one_that_is_known(repository: Repository) -> None:
    repository.logs.set_cluster(TWO, [A, B])
    found = choose(repository)
    assert (found.uuid, found.is_here) == (TWO, False)
    assert found.nodes == (A, B)
    assert found.remotes == ()


def test_several(repository: Repository) -> None:
    configure(repository, annex_cluster_mine=ONE, annex_cluster_other=TWO)
    with pytest.raises(ShoalError, match="several clusters, say which one: mine, other"):
        choose(repository)
    assert choose(repository, "other").uuid == TWO


def test_by_all_its_names(repository: Repository) -> None:
    repository.logs.set_cluster(ONE, [A])
    repository.logs.set_cluster(TWO, [B])
    repository.logs.set_proxies(GATEWAY, [Proxied(ONE, "big")])
    repository.logs.set_description(TWO, "the small one")
    for word in ("big", str(ONE)):
        assert (choose(repository, word).uuid, choose(repository, word).name) == (ONE, "big")
    assert choose(repository, "the small one").uuid == TWO
    assert choose(repository, TWO).name == "the small one"


def test_what_is_no_cluster(repository: Repository) -> None:
    repository.logs.set_cluster(ONE, [A])
    with pytest.raises(ShoalError, match='no cluster called "nosuch" is known here'):
        choose(repository, "nosuch")
    with pytest.raises(ShoalError, match='"here" is not a cluster'):
        choose(repository, "here")


def test_dead_nodes_are_none(repository: Repository) -> None:
    repository.logs.set_cluster(ONE, [A, B])
    repository.logs.set_trust(B, TrustLevel.DEAD)
    assert choose(repository).nodes == (A,)


def test_nodes_come_in_the_gateway_s_order(repository: Repository) -> None:
    """The cheapest first, then who cannot be reached."""
    configure(repository, annex_cluster_mine=ONE)
    repository.logs.set_cluster(ONE, [A, B, GATEWAY])
    repository.logs.set_proxies(HERE, [Proxied(ONE, "mine")])
    for name, uuid, cost in (("near", A, "50"), ("nearer", B, "10")):
        configure(
            repository,
            **{
                f"remote_{name}_url": f"/nowhere/{name}",
                f"remote_{name}_annex__uuid": uuid,
                f"remote_{name}_annex__cost": cost,
                f"remote_{name}_annex__cluster__node": "mine",
            },
        )
    found = choose(repository)
    assert found.nodes == (B, A, GATEWAY)
    assert [found.names[node] for node in found.nodes] == ["nearer", "near", GATEWAY]
    assert [remote.name for remote in found.remotes] == ["nearer", "near"]

"""What a gateway serves: published and configured, both."""

from __future__ import annotations

from shoal.gateway.publishing import make_plan
from shoal.logs.proxy import Proxied
from shoal.remotes.settings import CHEAP, EXPENSIVE, Kind, RemoteSettings
from shoal.values.uuid import UUID

HERE, N1, N2, N3, GW2 = (UUID(f"{n}0000000-0000-4000-8000-000000000000") for n in range(1, 6))
CLUSTER = UUID("ac000000-0000-8000-8000-000000000000")
LOCAL = {"cl": CLUSTER}
PUBLISHED = [Proxied(N1, "n1"), Proxied(N2, "n2"), Proxied(CLUSTER, "cl")]
NODES = {CLUSTER: frozenset({N1, N2})}


def remote(
    name: str,
    uuid: UUID | None,
    *clusters: str,
    proxy: bool = False,
    by: UUID | None = None,
    gateway_of: tuple[UUID, ...] = (),
) -> RemoteSettings:
    return RemoteSettings(
        name,
        Kind.PATH,
        f"/{name}",
        uuid,
        CHEAP if by is None else EXPENSIVE,
        CHEAP,
        proxy=proxy,
        proxied_by=by,
        cluster_nodes=clusters or None,
        cluster_gateways=gateway_of,
    )


R1, R2 = remote("n1", N1, "cl"), remote("n2", N2, "cl")


def test_nodes_and_their_cluster() -> None:
    plan = make_plan(HERE, [R2, R1], PUBLISHED, LOCAL, NODES)
    assert plan.proxied == {N1: R1, N2: R2}
    assert plan.clusters[CLUSTER].name == "cl"
    assert plan.clusters[CLUSTER].nodes == (R2, R1)


def test_what_is_published_but_not_configured_is_not_served() -> None:
    """A forged log alone opens nothing."""
    plan = make_plan(HERE, [remote("n1", N1), R2], PUBLISHED, LOCAL, NODES)
    assert set(plan.proxied) == {N2}
    assert plan.clusters[CLUSTER].nodes == (R2,)


def test_what_is_configured_but_not_published_is_not_served() -> None:
    plan = make_plan(HERE, [R1, R2], [Proxied(N1, "n1")], LOCAL, NODES)
    assert set(plan.proxied) == {N1}
    assert plan.clusters == {}


def test_a_remote_must_have_the_name_that_is_published() -> None:
    plan = make_plan(HERE, [remote("other", N1, proxy=True)], PUBLISHED, LOCAL, NODES)
    assert plan.proxied == {}


def test_of_two_remotes_for_one_uuid_the_cheapest_is_used() -> None:
    published = [Proxied(N1, "n1"), Proxied(N1, "second")]
    second = remote("second", N1, proxy=True)
    assert make_plan(HERE, [second, R1], published, LOCAL, NODES).proxied == {N1: second}


def test_a_node_of_an_unknown_cluster_is_not_served() -> None:
    plan = make_plan(HERE, [remote("n1", N1, "unknown")], PUBLISHED, LOCAL, NODES)
    assert plan.proxied == {}
    assert plan.clusters[CLUSTER].nodes == ()


def test_a_node_must_be_in_the_cluster_log() -> None:
    plan = make_plan(HERE, [R1, R2], PUBLISHED, LOCAL, {CLUSTER: frozenset({N2})})
    assert set(plan.proxied) == {N1, N2}
    assert plan.clusters[CLUSTER].nodes == (R2,)


def test_a_cluster_without_any_log_is_not_served() -> None:
    assert make_plan(HERE, [R1], PUBLISHED, LOCAL, {}).clusters == {}


def test_this_repository_is_not_its_own_proxied_remote() -> None:
    published = [Proxied(HERE, "me")]
    assert make_plan(HERE, [remote("me", HERE, proxy=True)], published, {}, {}).proxied == {}


def test_what_another_gateway_proxies_is_served_when_that_is_a_gateway_of_a_cluster() -> None:
    through = remote("gw2-n3", N3, by=GW2)
    published = [Proxied(N3, "gw2-n3")]
    gateway = remote("gw2", GW2, gateway_of=(CLUSTER,))
    assert make_plan(HERE, [gateway, through], published, LOCAL, NODES).proxied == {N3: through}
    plain = remote("gw2", GW2)
    assert make_plan(HERE, [plain, through], published, LOCAL, NODES).proxied == {}


def test_the_same_cluster_at_another_gateway_is_a_node() -> None:
    there = remote("gw2-cl", CLUSTER, by=GW2)
    gateway = remote("gw2", GW2, gateway_of=(CLUSTER,))
    plan = make_plan(HERE, [R1, gateway, there], PUBLISHED, LOCAL, NODES)
    assert plan.clusters[CLUSTER].nodes == (R1, there)
    assert set(plan.proxied) == {N1}
    stranger = remote("gw2", GW2)
    plan = make_plan(HERE, [R1, stranger, there], PUBLISHED, LOCAL, NODES)
    assert plan.clusters[CLUSTER].nodes == (R1,)

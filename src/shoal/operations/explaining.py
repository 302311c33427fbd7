"""Why a key is where it is in a cluster, and where it would go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.gateway import select
from shoal.gateway.choosing import Placed, RepositoryChoosing, choose
from shoal.gateway.select import Full, Unwanted
from shoal.gateway.served import full_of, unwanted_of
from shoal.operations.plan import Goal, KeyPlan, plan_key
from shoal.operations.world import ClusterWorld, copies_of
from shoal.preferred.explain import Explanation, explain
from shoal.preferred.expr import Balanced, terms_of
from shoal.values.uuid import is_cluster_uuid

if TYPE_CHECKING:
    from shoal.annex.matching import Candidate
    from shoal.annex.proof import Needed
    from shoal.annex.session import Session
    from shoal.errors import ShoalError
    from shoal.operations.choosing import Cluster
    from shoal.preferred.facts import Facts
    from shoal.preferred.policy import Policy
    from shoal.values.key import Key
    from shoal.values.uuid import UUID


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node's view of a key.

    `answer` is what it said itself: None, it was not asked. `now` explains whether it wants the
    key (to get it, or to keep it when it is logged to have it); `rebalanced` the same when
    balanced terms look at where content belongs, None where there are none; `required` its
    required content, None without any.
    """

    uuid: UUID
    name: str
    is_logged: bool
    answer: bool | ShoalError | None
    now: Explanation
    rebalanced: Explanation | None
    required: Explanation | None
    size: int
    max_size: int | None


@dataclass(frozen=True, slots=True)
class Put:
    """What an upload through the gateway would do now, if all nodes could take it: store the
    key on `nodes`; `reason` is "wanted", "already there", "unwanted" (nobody wants it, so git
    config shoal.unwanted decides), "full" (no node that it would go to has room) or "no nodes"."""

    nodes: tuple[UUID, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class KeyView:
    """What there is to say about a key in a cluster."""

    key: Key
    files: tuple[str, ...]
    needed: Needed
    outside: tuple[UUID, ...]
    """Living repositories outside of the cluster that are logged to have it."""
    nodes: tuple[NodeView, ...]
    put: Put
    plans: Mapping[Goal, KeyPlan | None]
    drains: Mapping[UUID, KeyPlan]
    """For each node that has the key: what draining the node would do."""


def view_key(
    session: Session,
    cluster: Cluster,
    world: ClusterWorld,
    candidate: Candidate,
    answers: Mapping[UUID, bool | ShoalError],
) -> KeyView:
    """Explain one key. `answers` are from nodes that were asked whether they have it."""
    key = candidate.key
    facts = world.facts(key)
    living = copies_of(facts[0])
    ordered = sorted(cluster.nodes, key=cluster.names.__getitem__)
    views = [_view(session, world, cluster, node, key, answers.get(node)) for node in ordered]
    drains = {
        node: plan
        for node in ordered
        if (plan := plan_key(Goal.DRAIN, key, world, leaving=frozenset({node}))) is not None
    }
    files = {one.file for one in facts} | {candidate.path}
    return KeyView(
        key,
        tuple(sorted(file for file in files if file is not None)),
        world.needed(key),
        tuple(sorted(living - {*cluster.nodes})),
        tuple(views),
        _put(session, cluster, key, candidate.path or facts[0].file),
        {goal: plan_key(goal, key, world) for goal in (Goal.REBALANCE, Goal.HEAL)},
        drains,
    )


def _view(
    session: Session,
    world: ClusterWorld,
    cluster: Cluster,
    node: UUID,
    key: Key,
    answer: bool | ShoalError | None,
) -> NodeView:
    policy = session.policy(node)
    every: Sequence[Facts] = world.facts(key)
    about = every[0]
    is_balanced = any(isinstance(term.test, Balanced) for term in terms_of(policy.wanted))
    return NodeView(
        node,
        cluster.names[node],
        node in about.locations(),
        answer,
        _explained(policy, every),
        _explained(policy, every, rebalance=True) if is_balanced else None,
        _explained(policy, every, required=True) if session.logs.required().get(node) else None,
        about.live_size(node) or 0,
        about.max_size(node),
    )


def _explained(
    policy: Policy, every: Sequence[Facts], *, required: bool = False, rebalance: bool = False
) -> Explanation:
    """Explain what a node wants: by the first file for which it wants the key, if any."""
    absent = frozenset({policy.repo}) if policy.repo in every[0].locations() else frozenset()
    found = (
        explain(policy, facts, default=True, required=required, absent=absent, rebalance=rebalance)
        for facts in every
    )
    first = next(found)
    return first if first.matches else next((one for one in found if one.matches), first)


def _put(session: Session, cluster: Cluster, key: Key, file: str | None) -> Put:
    """Work out where an upload would go, by the gateway's own rules."""
    config = session.repository.config
    logged = session.logs.locations(key)
    nodes = [one.uuid for one in cluster.remotes if one.uuid] if cluster.is_here else cluster.nodes
    lacking = select.lacking(nodes, logged)
    holders = frozenset(repo for repo in logged if not is_cluster_uuid(repo))
    choosing = RepositoryChoosing(session.preferences, Placed(key, file or ""))
    heeds_sizes = full_of(config) is Full.REFUSE
    chosen = choose(choosing, lacking, holders, heeds_sizes=heeds_sizes)
    there = tuple(node for node in nodes if node not in lacking)
    if chosen.nodes:
        return Put(tuple(chosen.nodes), "wanted")
    if there:
        return Put(there, "already there")
    if not nodes:
        return Put((), "no nodes")
    if chosen.only_full:
        return Put((), "full")
    roomy = choose(choosing, lacking, holders, heeds_sizes=heeds_sizes, wanted=False)
    if roomy.only_full:
        return Put((), "full")
    most = {Unwanted.ALL: len(nodes), Unwanted.ONE: 1, Unwanted.NONE: 0}
    return Put(tuple(roomy.nodes[: most[unwanted_of(config)]]), "unwanted")

"""Which nodes of a cluster take part in a request, and in which order. Pure.

Source: git-annex's passthrough proxy design; the behaviour of git-annex 10.20261026 (its
`p2pstdio` in front of three nodes), with these differences, each on purpose:

* nodes are asked whether they want a key one after another, the earlier ones assumed to have
  it already, so that "not copies=archive:1" stores one copy and not one on each archive;
* a node that has the key already settles an upload that no other node wants;
* downloads look at load and at recent failures too, not only at cost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from shoal.values.uuid import UUID, is_cluster_uuid

Wants = Callable[[UUID, frozenset[UUID]], bool]
"""Tell whether a node that lacks the key would want it, when these repositories hold it."""


class Unwanted(Enum):
    """What an upload does when no node that lacks the key wants it, and none has it.

    `ALL`, the default, is what git-annex does: an explicit `copy --to CLUSTER` is obeyed as by
    any repository, and gateways of both programs in front of one cluster do the same. Nothing
    is lost, but nodes may hold what they do not want. `ONE` stores on the first node that
    takes it, so the upload succeeds with the least waste. `NONE` refuses, and the client keeps
    its copy; a client that always sends everything (`git annex sync --content`) then fails.
    """

    ALL = "all"
    ONE = "one"
    NONE = "none"


class Full(Enum):
    """What an upload does when all nodes that want the key are full: larger than their maximum
    sizes with it, or without space on their disks.

    `REFUSE`, the default: the client hears that there is not enough space, and keeps its copy.
    No node ever gets more than its maximum size. `STORE` is what git-annex does: the gateway
    pays no heed to maximum sizes, so that content goes to full nodes that want it for another
    reason than balance, and what then nobody wants is stored as `Unwanted` says.
    """

    REFUSE = "refuse"
    STORE = "store"


class NodeState(NamedTuple):
    """What is known of a node when a download has to choose.

    `latency` is how long it lately took to answer, in seconds; `served` counts its downloads.
    """

    uuid: UUID
    cost: float = 100.0
    shunned: bool = False  # it did not answer lately; asking again would cost a timeout
    failures: int = 0  # since its last answer
    in_flight: int = 0
    latency: float = 0.0
    served: int = 0
    hops: int = 0  # gateways in between


def for_reading(nodes: Sequence[NodeState], logged: Collection[UUID]) -> list[UUID]:
    """Order nodes for a download or a look-up: the best first, all of them included.

    Nodes that are logged to hold the key come before the others, whose content is not known to
    the log. Then: nodes that answer, cost, gateways in between, recent failures, transfers in
    flight, latency (in steps of a factor of two, so that equals stay equal), and who served
    least.
    """
    ordered = sorted(
        nodes,
        key=lambda node: (
            node.uuid not in logged,
            node.shunned,
            node.cost,
            node.hops,
            min(node.failures, 3),
            node.in_flight,
            latency_step(node.latency),
            node.served,
        ),
    )
    return [node.uuid for node in ordered]


def latency_step(latency: float) -> int:
    """Give the power of two that `latency` reaches, in milliseconds."""
    return int(latency * 1000).bit_length()


def lacking(
    nodes: Sequence[UUID],
    logged: Collection[UUID],
    behind: Mapping[UUID, frozenset[UUID] | None] | None = None,
) -> list[UUID]:
    """Give the nodes that are not logged to hold the key, in their order.

    A gateway lacks it while one of the nodes `behind` it does, or when these are not known.
    """
    stands_for = behind or {}
    return [
        uuid for uuid in nodes if not _all_logged(stands_for.get(uuid, frozenset({uuid})), logged)
    ]


def _all_logged(uuids: frozenset[UUID] | None, logged: Collection[UUID]) -> bool:
    return uuids is not None and all(uuid in logged for uuid in uuids)


def wanting(nodes: Sequence[UUID], holders: Collection[UUID], wants: Wants) -> list[UUID]:
    """Give those of `nodes`, all without the key, that want it, in their order.

    `holders` are the repositories that have it. Each node is asked as if the nodes that were
    chosen before it had it too.
    """
    assumed = frozenset(uuid for uuid in holders if not is_cluster_uuid(uuid))
    chosen: list[UUID] = []
    for uuid in nodes:
        if wants(uuid, assumed - {uuid}):
            chosen.append(uuid)
            assumed |= {uuid}
    return chosen

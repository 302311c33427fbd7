"""What a cluster answers when its nodes have answered. Pure.

Rules: only a node's own answer counts; what one node could not do never hides what another
did; and when it is not known whether the key is there, that is said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from shoal.errors import (
    KeyNotPresent,
    NotEnoughSpace,
    RemoteError,
    RemoteRefused,
    RemoteUnavailable,
    ShoalError,
    TransferInProgress,
)
from shoal.gateway.topology import is_repository
from shoal.remotes.base import RemoveResult, StoreResult
from shoal.values.uuid import UUID

Failures = Mapping[UUID, Exception]
"""Why nodes could not answer."""

NO_SPACE = "not enough space on any wanted node"
"""What a client hears when all nodes that want a key are full."""

_TELLING = (NotEnoughSpace, TransferInProgress, RemoteRefused)  # of several errors, the first


def gathered(groups: Iterable[Collection[UUID]]) -> tuple[UUID, ...]:
    """Join lists of repositories: order kept, each once. Clusters and gateways are left out."""
    uuids = dict.fromkeys(uuid for group in groups for uuid in group)
    return tuple(filter(is_repository, uuids))


def stored(
    nodes: Sequence[UUID],
    results: Mapping[UUID, StoreResult | Exception],
    already: Mapping[UUID, Collection[UUID]],
) -> StoreResult:
    """Combine the ends of an upload.

    `results` has what each node that was sent the content said, `already` the nodes that said
    before that they have it, each with the repositories that it named.

    The upload succeeded when a node stored the content. Nodes that had it already are listed
    (so that the client can record them) but are no success by themselves: a client that moves
    content here counts on a copy that was not there before.
    """
    groups: dict[UUID, Collection[UUID]] = {u: (u, *named) for u, named in already.items()}
    reasons = []
    newly = False
    for uuid, result in results.items():
        if isinstance(result, StoreResult):
            own = (uuid,) if result.stored else ()
            groups[uuid] = (*own, *result.stored_in)
            newly = newly or result.stored
        reasons.append(reason(result))
    holders = gathered(groups[uuid] for uuid in nodes if uuid in groups)
    error = "" if newly else "; ".join(dict.fromkeys(filter(None, reasons)))
    return StoreResult(newly, holders, error)


def removed_from(
    nodes: Iterable[UUID], results: Mapping[UUID, RemoveResult | Exception]
) -> tuple[UUID, ...]:
    """Give who no longer has the key, by those of the nodes' answers that there are."""
    found = ((uuid, results.get(uuid)) for uuid in nodes)
    return gathered(
        (*((uuid,) if result.removed else ()), *result.removed_from)
        for uuid, result in found
        if isinstance(result, RemoveResult)
    )


def removed(
    nodes: Sequence[UUID], results: Mapping[UUID, RemoveResult | Exception]
) -> RemoveResult:
    """Combine the answers to a removal, which succeeded when every node removed the key. One
    that could not be reached may have done so for another gateway."""
    reasons = []
    complete = bool(nodes)
    gone = removed_from(nodes, results)
    for uuid in nodes:
        result = results[uuid]
        done = result.removed if isinstance(result, RemoveResult) else uuid in gone
        if not done:
            complete = False
            reasons.append(reason(result))
    return RemoveResult(complete, gone, "; ".join(dict.fromkeys(filter(None, reasons))))


def reason(result: StoreResult | RemoveResult | Exception) -> str:
    """Give why a node did not do what it was asked, or "" when it did or did not say."""
    if isinstance(result, ShoalError):
        return str(result)
    return "internal error" if isinstance(result, Exception) else result.error


def raise_bugs(results: Mapping[UUID, object]) -> None:
    """Raise an error that is no node's answer, once all answers have been recorded."""
    for result in results.values():
        if isinstance(result, Exception) and not isinstance(result, ShoalError):
            raise result


def absence(
    cluster: str, key: str, nodes: Sequence[UUID], logged: Collection[UUID], failures: Failures
) -> RemoteError:
    """Give the error that is true when no node said that it has the key.

    It is KeyNotPresent when the nodes that may hold it said that they do not: those that are
    logged to hold it, or, when none is, at least one of them all. The log's silence about a
    node that is down is taken as its answer; otherwise nothing new could be stored in a
    cluster while any node is away. Else it is RemoteUnavailable.
    """
    expected = [uuid for uuid in nodes if uuid in logged]
    unknown = [uuid for uuid in expected if uuid in failures]
    if not expected and nodes and all(uuid in failures for uuid in nodes):
        unknown = list(nodes)
    if not unknown:
        return KeyNotPresent(cluster, key)
    return RemoteUnavailable(cluster, causes(failures[uuid] for uuid in unknown))


def refusal(cluster: str, failures: Failures) -> ShoalError:
    """Give the error of an upload that no node would take."""
    if failures and all(isinstance(cause, NotEnoughSpace) for cause in failures.values()):
        return NotEnoughSpace(f"{NO_SPACE}: {causes(failures.values())}")
    for kind in _TELLING:
        for cause in failures.values():
            if isinstance(cause, kind):
                return cause
    return RemoteUnavailable(cluster, causes(failures.values()) or "it has no nodes")


def causes(errors: Iterable[Exception]) -> str:
    """Join what went wrong, each cause once."""
    texts = (
        f"{error.remote}: {error.cause}" if isinstance(error, RemoteUnavailable) else str(error)
        for error in errors
    )
    return "; ".join(dict.fromkeys(texts))

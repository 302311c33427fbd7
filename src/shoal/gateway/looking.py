"""Finding a key in a cluster: whether it is there, and small content, with as little ado as
the nodes allow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

from shoal.errors import KeyNotPresent, RemoteError
from shoal.gateway import outcome, select
from shoal.gateway.members import Members
from shoal.gateway.node import Node
from shoal.gateway.patience import Patience
from shoal.gateway.reach import Reach
from shoal.gateway.records import Records, soon
from shoal.gateway.topology import is_repository
from shoal.remotes.base import Caller
from shoal.values.key import Key
from shoal.values.uuid import UUID


class Looking:
    """Looks for keys in the nodes of a cluster, by what the gateway's log says of them."""

    def __init__(self, name: str, members: Members, records: Records, patience: Patience) -> None:
        self._name = name
        self._members = members
        self._records = records
        self._patience = patience

    async def is_present(self, key: Key, caller: Caller) -> bool:
        """True as soon as a node says yes. False when the nodes that may have the key (by the
        log; all when it names none) say no. Raises RemoteUnavailable when they are down."""
        reach = self._members.reach(caller)
        logged = await self.logged(key, reach)
        known = self._look_at_once(key, logged, caller, reach)
        if known is not None:
            return known
        theirs = self._members.passed_on(caller)
        failures: dict[UUID, Exception] = {}
        holder = None
        for nodes in reach.rounds():
            holder, failed = await self._find(key, nodes, logged, theirs)
            failures |= failed
            if holder is not None:
                break
        if holder is None:
            error = self.absence(key, reach, logged, failures, caller)
            if isinstance(error, KeyNotPresent):
                return False
            raise error
        if holder not in logged and is_repository(holder):
            await self.record(key, present=[holder])
        return True

    def absence(
        self,
        key: Key,
        reach: Reach,
        logged: frozenset[UUID],
        failures: Mapping[UUID, Exception],
        caller: Caller,
    ) -> RemoteError:
        """Give the error that is true when no node said that it has the key.

        A gateway of shoal hears of every node that could not be asked: it has a log of its own
        that may name one of them."""
        failures = reach.still_failing(failures)
        if failures and self._members.is_named_by(caller):
            logged |= failures.keys()
        return outcome.absence(self._name, str(key), [*reach.nodes], logged, failures)

    async def _find(
        self, key: Key, nodes: Mapping[UUID, Node], logged: frozenset[UUID], theirs: Caller
    ) -> tuple[UUID | None, Mapping[UUID, Exception]]:
        """Ask nodes until one says that it has the key; give that, and who could not answer."""

        async def ask(node: Node) -> bool:
            told = node.heard_from(theirs)
            return await node.ask(lambda remote: remote.check_present(key, caller=told))

        questions = {node.uuid: partial(ask, node) for node in in_order(nodes, logged)}
        return await self._patience.first_yes(questions, self._patience.limits.hedge)

    def present_at_once(self, key: Key, caller: Caller) -> bool | None:
        reach = self._members.reach(caller)
        return self._look_at_once(key, self._kept(key, reach), caller, reach)

    def _look_at_once(
        self, key: Key, logged: frozenset[UUID] | None, caller: Caller, reach: Reach
    ) -> bool | None:
        """Ask one node after the other, those that are logged to have the key first. What the
        log does not know takes more time; when it is not known what the log knows (None) it is
        compared with the answer soon."""
        theirs = self._members.passed_on(caller)
        all_said_no = True
        for node in sorted(reach.usual.values(), key=lambda node: node.uuid not in (logged or ())):
            present = node.present_at_once(key, theirs)
            if present:
                return True if self._knew(key, node, logged) else None
            all_said_no = all_said_no and present is False
        return False if all_said_no else None

    def _knew(self, key: Key, node: Node, logged: frozenset[UUID] | None) -> bool:
        """Tell whether the log knows that a node has the key, or will soon."""
        return self._records.found(key, node.uuid) if logged is None else node.uuid in logged

    def read_at_once(self, key: Key, offset: int, most: int, caller: Caller) -> bytes | None:
        reach = self._members.reach(caller)
        return self.take_at_once(key, offset, most, self._kept(key, reach), caller, reach)

    def take_at_once(
        self,
        key: Key,
        offset: int,
        most: int,
        logged: frozenset[UUID] | None,
        caller: Caller,
        reach: Reach,
    ) -> bytes | None:
        """Read from the first of the nodes that cost least and have the content at hand. As
        with _look_at_once(), they have to be logged to have it."""
        theirs = self._members.passed_on(caller)
        order = in_order(reach.usual, logged or ())
        for node in order:
            if node.cost > order[0].cost or (logged is not None and node.uuid not in logged):
                return None
            content = node.read_at_once(key, offset, most, theirs)
            if content is not None:
                return content if self._knew(key, node, logged) else None
        return None

    def present_soon(self, key: Key, tell: Callable[[bool | None], None], caller: Caller) -> bool:
        """Ask the best of the nodes that should have the key; that it lacks it says nothing of
        the others."""
        found = self._probable_holder(key, caller)
        if found is None:
            return False
        node, logged = found

        def judge(present: bool | None) -> None:
            tell(True if present and self._knew(key, node, logged) else None)

        return node.present_soon(key, judge, self._members.passed_on(caller))

    def read_soon(
        self,
        key: Key,
        offset: int,
        most: int,
        tell: Callable[[bytes | None], None],
        caller: Caller,
    ) -> bool:
        found = self._probable_holder(key, caller)
        if found is None:
            return False
        node, logged = found

        def judge(content: bytes | None) -> None:
            tell(content if content is not None and self._knew(key, node, logged) else None)

        return node.read_soon(key, offset, most, judge, self._members.passed_on(caller))

    def _probable_holder(
        self, key: Key, caller: Caller
    ) -> tuple[Node, frozenset[UUID] | None] | None:
        """Give the node that is read from first, if it should have the key, and what the log
        says where that is at hand. (When there is only one node, it is the one to ask.)"""
        reach = self._members.reach(caller)
        logged = self._kept(key, reach)
        order = in_order(reach.usual, logged or ())
        if not order or (len(order) > 1 if logged is None else order[0].uuid not in logged):
            return None
        return order[0], logged

    def _kept(self, key: Key, reach: Reach) -> frozenset[UUID] | None:
        kept = self._records.kept_locations(key)
        return None if kept is None else reach.with_gateways(kept)

    async def logged(self, key: Key, reach: Reach) -> frozenset[UUID]:
        kept = self._records.kept_locations(key)
        if kept is None:
            kept = await soon(partial(self._records.locations, key))
        return reach.with_gateways(kept)

    async def record(
        self, key: Key, present: Collection[UUID] = (), missing: Collection[UUID] = ()
    ) -> None:
        await soon(partial(self._records.record, key, present, missing))


def in_order(nodes: Mapping[UUID, Node], logged: Collection[UUID]) -> list[Node]:
    """Give the nodes in the order in which they are asked for a key."""
    states = [node.state for node in nodes.values()]
    return [nodes[uuid] for uuid in select.for_reading(states, logged)]

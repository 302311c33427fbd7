"""What plans come to: how much is copied and dropped, and how full nodes are afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.operations.plan import KeyPlan
    from shoal.values.uuid import UUID


@dataclass(slots=True)
class NodeChange:
    """What plans do to one node. Sizes are in bytes; keys of unknown size count as nothing."""

    before: int = 0
    arriving: int = 0
    leaving: int = 0
    copies: int = 0  # keys that arrive
    drops: int = 0  # keys that leave

    @property
    def after(self) -> int:
        return self.before + self.arriving - self.leaving


@dataclass(slots=True)
class Preview:
    """What all plans come to."""

    nodes: dict[UUID, NodeChange] = field(default_factory=dict)
    keys: int = 0  # of which something is to be done
    blocked: int = 0  # of which not all can be done

    @classmethod
    def of(cls, sizes: Mapping[UUID, int]) -> Preview:
        """Begin with the nodes as they are."""
        return cls({uuid: NodeChange(size) for uuid, size in sizes.items()})

    def add(self, plan: KeyPlan) -> None:
        """Count a plan."""
        size = plan.key.size or 0
        self.keys += bool(plan.copy_to or plan.drop_from)
        self.blocked += bool(plan.blocked)
        for uuid in plan.copy_to:
            node = self.nodes.setdefault(uuid, NodeChange())
            node.arriving += size
            node.copies += 1
        for uuid in plan.drop_from:
            node = self.nodes.setdefault(uuid, NodeChange())
            node.leaving += size
            node.drops += 1

    @property
    def copies(self) -> int:
        return sum(node.copies for node in self.nodes.values())

    @property
    def drops(self) -> int:
        return sum(node.drops for node in self.nodes.values())

    @property
    def arriving(self) -> int:
        """Bytes that are copied."""
        return sum(node.arriving for node in self.nodes.values())

    @property
    def leaving(self) -> int:
        """Bytes that are dropped."""
        return sum(node.leaving for node in self.nodes.values())

"""Trees of tests, such as matching options make: asked whether they hold, or explained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from shoal.preferred.explain import Step
from shoal.preferred.items import read

C_contra = TypeVar("C_contra", contravariant=True)
C = TypeVar("C")


class Tree(Protocol[C_contra]):
    """A test of candidates, made of other tests."""

    def holds(self, candidate: C_contra) -> bool:
        """Tell whether a candidate passes. Tests that cannot change the answer are not made."""

    def step(self, candidate: C_contra) -> Step:
        """Make the same tests, and give what each came to."""


@dataclass(frozen=True, slots=True)
class Always(Generic[C]):
    """No test at all."""

    def holds(self, candidate: C) -> bool:
        return True

    def step(self, candidate: C) -> Step:
        return Step("empty", "", True)


@dataclass(frozen=True, slots=True)
class Leaf(Generic[C]):
    """One test, and the option that it was given as."""

    word: str
    test: Callable[[C], bool]

    def holds(self, candidate: C) -> bool:
        return self.test(candidate)

    def step(self, candidate: C) -> Step:
        return Step("term", self.word, self.test(candidate))


@dataclass(frozen=True, slots=True)
class Inverse(Generic[C]):
    """What holds when another test does not."""

    inner: Tree[C]

    def holds(self, candidate: C) -> bool:
        return not self.inner.holds(candidate)

    def step(self, candidate: C) -> Step:
        inner = self.inner.step(candidate)
        return Step("not", "not", not inner.value, (inner,))


@dataclass(frozen=True, slots=True)
class Joined(Generic[C]):
    """Two tests: one of both (`or`) or, when `either` is False, both must hold."""

    either: bool
    left: Tree[C]
    right: Tree[C]

    def holds(self, candidate: C) -> bool:
        if self.left.holds(candidate) is self.either:
            return self.either
        return self.right.holds(candidate)

    def step(self, candidate: C) -> Step:
        kind = "or" if self.either else "and"
        left = self.left.step(candidate)
        if left.value is self.either:
            return Step(kind, kind, left.value, (left, Step("empty", "", None)))
        right = self.right.step(candidate)
        return Step(kind, kind, right.value, (left, right))


def tree_of(items: Sequence[str | Tree[C]]) -> Tree[C]:
    """Make one tree of tests, `and`, `or`, `not` and parentheses, read as the words of preferred
    content expressions are. Nothing at all is Always. Raises ExpressionError."""
    return read(items, _Making[C]())


class _Making(Generic[C]):
    everything: Tree[C] = Always()

    def both(self, left: Tree[C], right: Tree[C]) -> Tree[C]:
        if isinstance(left, Always):
            return right
        return left if isinstance(right, Always) else Joined(False, left, right)

    def either(self, left: Tree[C], right: Tree[C]) -> Tree[C]:
        return Joined(True, left, right)

    def inverse(self, inner: Tree[C]) -> Tree[C]:
        return Inverse(inner)

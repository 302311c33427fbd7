"""Trees of tests, such as matching options make: asked whether they hold, or explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from shoal.preferred.explain import Step
from shoal.preferred.items import Item, arrange

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
    content expressions are. Nothing at all is Always."""
    return _read(iter(arrange(items)), Always())


def _read(items: Iterator[Item[Tree[C]]], so_far: Tree[C]) -> Tree[C]:
    for item in items:
        so_far = _with(so_far, item, items)
    return so_far


def _next(items: Iterator[Item[Tree[C]]]) -> Tree[C]:
    """Read what a connective applies to; at the end that is a test that always holds."""
    for item in items:
        return _with(Always(), item, items)
    return Always()


def _with(so_far: Tree[C], item: Item[Tree[C]], items: Iterator[Item[Tree[C]]]) -> Tree[C]:
    if isinstance(item, list):
        return _read(iter(item), so_far)
    if item == "or":
        return Joined(True, so_far, _next(items))
    if item == "not":
        return _both(so_far, Inverse(_next(items)))
    return _both(so_far, _next(items) if isinstance(item, str) else item)


def _both(left: Tree[C], right: Tree[C]) -> Tree[C]:
    if isinstance(left, Always):
        return right
    return left if isinstance(right, Always) else Joined(False, left, right)

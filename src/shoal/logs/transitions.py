"""`transitions.log`: changes to the git-annex branch that all clones have to make, in order.

    NAME SP CLOCK

A clone that merges a branch with a transition that it has not made yet makes it, too; one
that merges a branch without a transition it has made takes only that branch's content.
Source: transitions vectors of git-annex 10.20261026.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from shoal.logs.entries import split_lines
from shoal.values.clock import Clock, next_clock, parse_clock, render_clock

PATH = "transitions.log"


class Transition(Enum):
    """A transition that is known; the value is its name in the log."""

    FORGET_GIT_HISTORY = b"ForgetGitHistory"
    FORGET_DEAD_REMOTES = b"ForgetDeadRemotes"

    @property
    def description(self) -> str:
        """Words for the message of a commit."""
        return "forget git history" if self is self.FORGET_GIT_HISTORY else "forget dead remotes"


_RANK = {transition.value: rank for rank, transition in enumerate(Transition, start=1)}


@dataclass(frozen=True, slots=True)
class Line:
    """A transition's name and when it was started."""

    clock: Clock
    name: bytes


def parse(log: bytes) -> frozenset[Line]:
    """Give all lines, also those with names that are not known."""
    lines = set()
    for text in split_lines(log):
        name, space, clock = text.partition(b" ")
        try:
            if space:
                lines.add(Line(parse_clock(clock), name))
        except ValueError:
            continue
    return frozenset(lines)


def _order(line: Line) -> tuple[Clock, int, bytes]:
    return line.clock, _RANK.get(line.name, 0), line.name


def render(lines: Iterable[Line]) -> bytes:
    """Give the log: by clock, unknown names first, then as in `Transition`."""
    return b"".join(
        b"%s %s\n" % (line.name, render_clock(line.clock)) for line in sorted(lines, key=_order)
    )


def unknown(lines: Iterable[Line]) -> list[bytes]:
    """Give the names that are not known: nothing must be merged when there are any."""
    return sorted({line.name for line in lines} - _RANK.keys())


def known(lines: Iterable[Line]) -> list[Transition]:
    """Give the transitions to make, in order, each once."""
    names = [line.name for line in sorted(lines, key=_order) if line.name in _RANK]
    return [Transition(name) for name in dict.fromkeys(names)]


def change(log: bytes, transitions: Iterable[Transition], now: Clock) -> bytes:
    """Give the log after starting transitions."""
    lines = set(parse(log))
    for transition in transitions:
        newest = max((line.clock for line in lines if line.name == transition.value), default=None)
        lines.add(Line(next_clock(now, newest), transition.value))
    return render(lines)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a merge of branches with different transitions has to do.

    `transitions` are made on the merged content. If `replaces_branch`, the new commit has
    only `parents` (refs that had made all of them), else our branch alone. `ignored` refs are
    merged by content, but never become part of the history.
    """

    transitions: list[Transition]
    replaces_branch: bool
    parents: list[str]
    ignored: list[str]


def plan(ours: frozenset[Line], theirs: Mapping[str, frozenset[Line]]) -> Plan | None:
    """Decide how to merge the refs of `theirs`; None: an ordinary merge will do."""
    if all(lines == ours for lines in theirs.values()):
        return None
    together = ours.union(*theirs.values())
    return Plan(
        known(together),
        ours != together,
        [ref for ref, lines in theirs.items() if lines == together],
        [ref for ref, lines in theirs.items() if lines != together],
    )

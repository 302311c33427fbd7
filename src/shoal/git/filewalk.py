"""Which commits `git log` shows for one file: the walk that git makes, without reading trees.

With many files it is far faster to read a history once than to have git walk it for each. The
rules are git's (git-log(1), "History Simplification", default mode, with --remove-empty):
where a merge has a file as one of its parents has it, only that parent is followed; and nothing
is followed beyond a commit that lacked the file.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Difference = tuple[bytes, bytes]
"""The blobs of a file in a parent and in the commit; nothing but zeros: no file."""


@dataclass
class Commits:
    """A history: commits by number, children before their parents. Nothing changes it.

    Commits with one parent that follow each other are in a `line`, so that a walk can jump
    to the next one in it that matters.
    """

    names: list[bytes]
    times: list[int]  # seconds since 1970
    parents: list[tuple[int, ...]]
    line_of: list[int] = field(init=False)
    lines: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.line_of = [-1] * len(self.parents)
        self.lines = []
        for first in range(len(self.parents)):
            if self.line_of[first] < 0:
                self.lines.append(self._line_from(first))

    def _line_from(self, commit: int) -> list[int]:
        line = []
        while self.line_of[commit] < 0:
            self.line_of[commit] = len(self.lines)
            line.append(commit)
            if len(self.parents[commit]) != 1:
                break
            (commit,) = self.parents[commit]
        return line


def shown_changes(
    commits: Commits, touched: Mapping[int, Mapping[int, Difference]]
) -> Iterator[tuple[int, Difference]]:
    """Give the commits that git shows for a file, in its order, and what each changed.

    `touched` has for a commit, and the position of a parent among its parents, how the two
    differ in the file. Commits that do not differ from a parent are not in it.
    """
    if commits.parents:
        yield from _Walk(commits, touched).run()


class _Walk:
    """One walk from the first commit on. Of the commits to go to, the newest is next."""

    def __init__(self, commits: Commits, touched: Mapping[int, Mapping[int, Difference]]) -> None:
        self._commits = commits
        self._touched = touched
        self._in_line: dict[int, list[int]] = {}
        for commit in sorted(touched):
            self._in_line.setdefault(commits.line_of[commit], []).append(commit)
        self._roots: set[int] = set()  # they lack the file: nothing before them matters
        self._seen: set[int] = set()
        self._count = 0
        self._queue: list[tuple[int, int, int]] = []
        self._insert(0)

    def run(self) -> Iterator[tuple[int, Difference]]:
        while self._queue:
            commit = heapq.heappop(self._queue)[2]
            if commit in self._roots:
                continue
            if not self._queue and (far := self._jump(commit)) != commit:
                if far in self._seen:
                    continue  # by another way, since the clocks of commits need not be right
                self._seen.add(far)
                commit = far
            parents = self._commits.parents[commit]
            differences = self._touched.get(commit, {})
            if len(parents) < 2 and differences:
                yield commit, differences[0]
            for parent in self._followed(parents, differences):
                if parent not in self._seen:
                    self._insert(parent)

    def _insert(self, commit: int) -> None:
        self._seen.add(commit)
        self._count += 1
        heapq.heappush(self._queue, (-self._commits.times[commit], self._count, commit))

    def _jump(self, commit: int) -> int:
        """Give the next commit of the line that changed the file, or the line's last one.

        That is right only while there is nowhere else to go to.
        """
        number = self._commits.line_of[commit]
        touched = self._in_line.get(number, [])
        at = bisect_left(touched, commit)
        return touched[at] if at < len(touched) else self._commits.lines[number][-1]

    def _followed(
        self, parents: tuple[int, ...], differences: Mapping[int, Difference]
    ) -> tuple[int, ...]:
        """Give the parents to go on with."""
        for position, parent in enumerate(parents):
            if position not in differences:
                return (parent,)
            if not differences[position][0].strip(b"0"):
                self._roots.add(parent)
        return parents

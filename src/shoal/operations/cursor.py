"""How far a scrub of each node has come, so that it goes on there whenever it is run again.

    ANNEX/shoal/scrub/UUID      {"after": …, "begun": …, "complete": …, "mending": …}

Each file is replaced in one step; one that cannot be read counts as none.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.uuid import UUID


@dataclass(frozen=True, slots=True)
class Cursor:
    """One pass over the keys of a node. Times are seconds since 1970."""

    begun: float | None = None
    """When the pass that is under way began; None: none is."""
    after: str = ""
    """The file of the git-annex branch whose key was verified last."""
    complete: float | None = None
    """When the last pass began that came to its end."""
    mending: str = ""
    """The key that was just being put right, which the location log may no longer name."""

    def beginning(self, now: float) -> Cursor:
        """Begin a pass, or go on with the one that is under way."""
        return self if self.begun is not None else replace(self, begun=now, after="")

    def passed(self, path: str) -> Cursor:
        """Go on behind a file of the branch."""
        return replace(self, after=max(self.after, path, key=os.fsencode))

    def is_behind(self, path: str) -> bool:
        """Tell whether a file of the branch was passed."""
        return self.after != "" and os.fsencode(path) <= os.fsencode(self.after)

    def ended(self) -> Cursor:
        """The pass is complete."""
        return Cursor(complete=self.begun)


class Cursors:
    """The cursors that a gateway keeps; those of `fast` scrubs, which verify no content, are
    others."""

    def __init__(self, repository: Repository, *, fast: bool = False) -> None:
        self._repository = repository
        self._suffix = ".fast" if fast else ""

    def load(self, node: UUID) -> Cursor:
        """Give the cursor of a node."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            with open(self._path(node), "rb") as file:
                fields = json.load(file)
            return Cursor(
                fields["begun"], str(fields["after"]), fields["complete"], str(fields["mending"])
            )
        return Cursor()

    def save(self, node: UUID, cursor: Cursor) -> None:
        """Keep the cursor of a node."""
        path = self._path(node)
        self._repository.make_directory(os.path.dirname(path))
        self._repository.othertmp.replace(path, json.dumps(asdict(cursor)).encode())

    def forget(self, node: UUID) -> None:
        """Let the next pass begin at the start."""
        cursor = self.load(node)
        self.save(node, replace(cursor, begun=None, after=""))

    def _path(self, node: UUID) -> str:
        return self._repository.annex_path("shoal", "scrub", node + self._suffix)

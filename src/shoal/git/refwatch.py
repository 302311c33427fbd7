"""Noticing which refs of a repository changed, whoever changed them.

git replaces a ref by renaming, which changes the times of the directory that it is in. So a
look at the directories below refs/ and at packed-refs tells when to ask git for all values.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shoal.git.refs import ref_directories
from shoal.git.watch import Watch

if TYPE_CHECKING:
    from shoal.git.repository import Repository

PAUSE = 0.2
"""Seconds between two looks: changes that come together are told together."""


class RefWatch:
    """Tells the new values of changed refs. Blocks for the time of one git command at most."""

    def __init__(self, repository: Repository) -> None:
        self._git = repository.git
        self._common_dir = repository.common_dir
        self._watch = Watch()
        self._seen: dict[str, str] = {}
        self.changes()

    @property
    def values(self) -> tuple[str, ...]:
        """The object names that refs have now, each once."""
        return tuple(dict.fromkeys(self._seen.values()))

    def changes(self) -> tuple[str, ...]:
        """Give the values of the refs that are new or changed since the last look, each once.

        Deleted refs are not told of. Raises GitError when git cannot list the refs.
        """
        if not self._watch.changed():
            return ()
        self._watch.look(self._watched())
        before, self._seen = self._seen, self._list()
        new = (sha for name, sha in self._seen.items() if before.get(name) != sha)
        return tuple(dict.fromkeys(new))

    def _watched(self) -> list[str]:
        join = os.path.join
        tables = join(self._common_dir, "reftable", "tables.list")
        refs = ref_directories(join(self._common_dir, "refs"))
        return [join(self._common_dir, "packed-refs"), tables, *refs]

    def _list(self) -> dict[str, str]:
        shown = self._git.run("for-each-ref", "--format=%(objectname) %(refname)")
        lines = os.fsdecode(shown).splitlines()
        return {name: sha for sha, _, name in (line.partition(" ") for line in lines)}

"""Repositories by name, and how they are shown to people.

A user names a repository by `here`, the name of a remote, its UUID or its description. It is
shown as `UUID -- DESCRIPTION [REMOTE]`. Forms and rules are those of git-annex 10.20261026.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from shoal.errors import NoSuchRemote, ShoalError
from shoal.values.uuid import UUID

WEB = UUID("00000000-0000-0000-0000-000000000001")
BITTORRENT = UUID("00000000-0000-0000-0000-000000000002")
BUILT_IN = {WEB: "web", BITTORRENT: "bittorrent"}
"""Special remotes that every repository has: their names, descriptions and types."""
BUILT_IN_COST = "200.0"

_HERE = ("here", ".")


class Names:
    """What repositories are called, as seen from one of them.

    `remotes` are names and UUIDs (None: not known) in the order of the configuration; of two
    remotes with one UUID the later one is shown.
    """

    def __init__(
        self,
        here: UUID,
        descriptions: Mapping[UUID, str],
        remotes: Sequence[tuple[str, UUID | None]],
    ) -> None:
        self.here = here
        self._descriptions = {**BUILT_IN, **descriptions}
        self._remotes = dict(remotes)
        self._name_of = {uuid: name for name, uuid in remotes if uuid is not None}

    def uuid_of(self, word: str) -> UUID:
        """Give the repository that a user calls `word`.

        Raises NoSuchRemote; ShoalError for a remote whose UUID is not known, and for a
        description that several repositories have.
        """
        if not word:
            raise ShoalError("no repository name specified")
        if word in _HERE:
            return self.here
        if word in self._remotes:
            uuid = self._remotes[word]
            if uuid is None:
                raise ShoalError(
                    f'cannot determine uuid for {word} (perhaps you need to run "git annex sync"?)'
                )
            return uuid
        if word == self.here or word in self._name_of or word in self._descriptions:
            return UUID(word)
        return self._described(word)

    def remote_name(self, uuid: UUID) -> str | None:
        """Give the name of the remote with this UUID, None when there is none."""
        return self._name_of.get(uuid)

    def description(self, uuid: UUID) -> str:
        """Give the description alone, "" when there is none."""
        return self._descriptions.get(uuid, "")

    def shown(self, uuid: UUID) -> str:
        """Give `DESCRIPTION [REMOTE]`: what there is of the two, "" when there is none."""
        text = self.description(uuid)
        if uuid == self.here:
            return f"{text} [here]" if text else "here"
        return self._with_name(uuid, text)

    def in_json(self, uuid: UUID) -> str:
        """As shown(), but nothing says that a repository is this one."""
        text = self.description(uuid)
        return text if uuid == self.here else self._with_name(uuid, text)

    def line(self, uuid: UUID) -> str:
        """Give `UUID -- DESCRIPTION [REMOTE]`, or the UUID alone."""
        shown = self.shown(uuid)
        return f"{uuid} -- {shown}" if shown else uuid

    def lines(self, uuids: Iterable[UUID]) -> str:
        """Give a line for each repository, each after a tab and ended by a newline."""
        return "".join(f"\t{self.line(uuid)}\n" for uuid in uuids)

    def _with_name(self, uuid: UUID, text: str) -> str:
        name = self._name_of.get(uuid)
        if name is None:
            return text
        if uuid not in self._descriptions:  # never described, not even by nothing
            return name
        return f"[{name}]" if text in ("", name) else f"{text} [{name}]"

    def _described(self, word: str) -> UUID:
        found = [uuid for uuid, text in self._descriptions.items() if text == word]
        if len(found) > 1:
            raise ShoalError(
                "found multiple repositories with that description "
                "(use the uuid instead to disambiguate)"
            )
        if not found:
            raise NoSuchRemote(word)
        return found[0]

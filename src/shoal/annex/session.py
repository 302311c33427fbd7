"""One user's work in one repository: names, remotes, trust, copies and files.

A session answers from the git-annex branch as it was when it was first asked, which is what a
single command needs. Long-running programs make a new session for each piece of work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from shoal.annex.copies import CopiesWanted
from shoal.annex.files import WorkTree
from shoal.annex.names import Names
from shoal.errors import NoSuchRemote, ShoalError
from shoal.git.pointers import MAX_POINTER, pointed_key
from shoal.git.process import GitError
from shoal.git.refs import BRANCH
from shoal.logs import location
from shoal.logs.trust import TrustLevel
from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.annex.matching import Candidate
    from shoal.git.annexlogs import AnnexLogs
    from shoal.git.preferences import Preferences
    from shoal.git.repository import Repository
    from shoal.logs.presence import Line
    from shoal.preferred.facts import Facts
    from shoal.preferred.policy import Policy
    from shoal.remotes.settings import RemoteSettings
    from shoal.values.key import Key


class Session:
    """What the commands of a client share. close() it at the end.

    `numcopies` and `mincopies` override what is configured; `trust_overrides` are names of
    remotes and the level that counts for them. `rebalance`: balanced terms look at where content
    belongs. `explain` takes the sentences that explain decisions, if anybody wants them;
    `warn` takes what the user should hear about remotes.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        numcopies: int | None = None,
        mincopies: int | None = None,
        trust_overrides: Sequence[tuple[str, TrustLevel]] = (),
        rebalance: bool = False,
        explain: Callable[[str], None] | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.repository = repository
        self.here: UUID = repository.uuid
        self._numcopies = numcopies
        self._mincopies = mincopies
        self._trust_overrides = tuple(trust_overrides)
        self.rebalance = rebalance
        self.explain = explain
        self._warn = warn

    @property
    def logs(self) -> AnnexLogs:
        """What the git-annex branch says."""
        return self.repository.logs

    @cached_property
    def work_tree(self) -> WorkTree:
        """The work tree, seen from the current directory. Raises ShoalError when bare."""
        return WorkTree(self.repository)

    # Who is who

    @cached_property
    def settings(self) -> list[RemoteSettings]:
        """All remotes as they are configured, or follow from proxy.log.

        UUIDs that were not known are found out now, which may contact remotes.
        """
        from shoal.remotes.settings import remotes_of

        found = remotes_of(self.repository)
        if any(one.uuid is None and not one.ignore for one in found):
            from shoal.remotes.discovery import learn_uuids  # slow to import

            for warning in learn_uuids(self.repository):
                self._warn(warning)
            found = remotes_of(self.repository)
        return found

    @cached_property
    def names(self) -> Names:
        """What repositories are called here."""
        known = [(remote.name, remote.uuid) for remote in self.settings]
        return Names(self.here, self.logs.descriptions(), known)

    def uuid_of(self, name: str) -> UUID:
        """Give the repository called `name`; see Names.uuid_of."""
        return self.names.uuid_of(name)

    def remote_named(self, name: str) -> RemoteSettings:
        """Give the remote with a name or UUID.

        Raises NoSuchRemote, and ShoalError when its UUID is not known.
        """
        if not name:
            raise ShoalError("no remote specified")
        for settings in self.settings:
            if settings.name == name:
                if settings.uuid is None:
                    ignored = f" (remote.{name}.annex-ignore is set)" if settings.ignore else ""
                    raise ShoalError(
                        f"cannot determine uuid for {name} "
                        f'(perhaps you need to run "git annex sync"?){ignored}'
                    )
                return settings
        for settings in self.settings:
            if settings.uuid == name:
                return settings
        raise NoSuchRemote(name)

    @cached_property
    def trusts(self) -> Mapping[UUID, TrustLevel]:
        """How far repositories are trusted; those that are missing are semitrusted."""
        levels = dict(self.logs.trusts())
        for uuid in self._enabled_exports():
            # What others can overwrite through the tree is no copy to rely on.
            if levels.get(uuid) is not TrustLevel.DEAD:
                levels[uuid] = TrustLevel.UNTRUSTED
        for name, level in self._trust_overrides:
            levels[self.uuid_of(name)] = level
        return levels

    def _enabled_exports(self) -> list[UUID]:
        """Give the remotes of this repository with exporttree=yes. (The real program trusts
        others of that kind as the log says.)"""
        exports = {
            uuid
            for uuid, settings in self.logs.remote_configs().items()
            if settings.get("exporttree") == "yes"
        }
        if not exports:
            return []
        from shoal.remotes.settings import remotes_of

        return [one.uuid for one in remotes_of(self.repository) if one.uuid in exports]

    def trust(self, repository: UUID) -> TrustLevel:
        """Tell how far a repository is trusted."""
        return self.trusts.get(repository, TrustLevel.SEMITRUSTED)

    # Keys

    def is_present(self, key: Key) -> bool:
        """Tell whether this repository has the content."""
        return self.repository.objects.present(key)

    def locations(self, key: Key) -> Set[UUID]:
        """Give the repositories and clusters that are logged to have the key."""
        return self.logs.locations(key)

    def location_lines(self, key: Key) -> Mapping[UUID, Line]:
        """Give what the location log says of each repository, and since when."""
        path = location.path(key, self.repository.branch_hash_levels)
        return location.newest_lines(self.repository.branch.read(path))

    def locations_at(self, key: Key, date: str) -> Set[UUID]:
        """Give the repositories that were logged to have the key when the branch was at
        `git-annex@DATE` (see gitrevisions(7)); none when git knows no such state."""
        path = location.path(key, self.repository.branch_hash_levels)
        found = self.repository.cat_file.read(os.fsencode(f"{BRANCH}@{date}:{path}"))
        return frozenset() if found is None else location.present_uuids(found.content)

    def accessed(self, key: Key) -> float | None:
        """Give when the content here was last read, in seconds since 1970; None: not here."""
        path = self.repository.objects.location(key)
        return os.lstat(path).st_atime if self.is_present(key) else None

    def files_of(self, key: Key) -> list[str]:
        """Give all files of the work tree with this key, as seen from the current directory."""
        return [self.work_tree.shown(path) for path in self.copies.files.of(key)]

    def places(self, key: Key) -> Places:
        """Give the same, in the order in which people see them."""
        return Places.of(self.locations(key), self.trust)

    def all_keys(self) -> Iterator[Key]:
        """Give every key that has a location log, in the order of the branch."""
        return (key for key, _ in self.logs.scan_locations())

    def annexed_in(self, ref: str) -> Iterator[tuple[str, Key]]:
        """Give path and key of each annexed file in a branch or tree.

        Raises ShoalError when there is no such thing.
        """
        git = self.repository.git
        try:
            listed = git.run("ls-tree", "-r", "-z", "--full-tree", "-l", ref)
        except GitError as error:
            raise ShoalError(f"git ls-tree {ref} failed: {error.stderr.strip()}") from error
        blobs = [blob for line in listed.split(b"\0") if (blob := _small_blob(line))]
        contents = self.repository.cat_file.read_many([sha for _, sha in blobs])
        for (path, _), found in zip(blobs, contents, strict=True):
            if found is not None and (key := pointed_key(found.content)) is not None:
                yield path, key

    # What is wanted

    @cached_property
    def copies(self) -> CopiesWanted:
        """How many copies are wanted."""
        return CopiesWanted(
            self.repository,
            numcopies=self._numcopies,
            mincopies=self._mincopies,
            logged_numcopies=self.logs.numcopies(),
            logged_mincopies=self.logs.mincopies(),
        )

    @cached_property
    def preferences(self) -> Preferences:
        """What repositories want."""
        from shoal.git.preferences import Preferences

        return Preferences(
            self.repository,
            numcopies=self.copies.agreed,
            trust=self.trust,
        )

    def matcher(self, options: Sequence[tuple[str, str]]) -> Callable[[Candidate], bool]:
        """Give the test that matching options make; see matching.compile_options."""
        from shoal.annex.matching import compile_options

        tree, explain = compile_options(options, self), self.explain
        if explain is None or not options:
            return tree.holds
        from shoal.preferred.trail import trail

        def holds(candidate: Candidate) -> bool:
            step = tree.step(candidate)
            found = "matches" if step.value else "does not match"
            explain(f"{candidate.shown or candidate.key} {found}:{trail(step)}")
            return bool(step.value)

        return holds

    def facts(self, candidate: Candidate) -> Facts:
        """Give what preferred content terms may ask about a key and its file."""
        return self.preferences.facts(candidate.key, candidate.path)

    def policy(self, repository: UUID) -> Policy:
        """Give what a repository wants."""
        return self.preferences.policy(repository)

    def close(self) -> None:
        """End the processes that the session started."""
        if "copies" in self.__dict__:
            self.copies.close()


@dataclass(frozen=True, slots=True)
class Places:
    """Where a key is: `clusters` that have it, repositories that count as copies, and
    `untrusted` ones that may have it. Each is sorted by UUID."""

    clusters: tuple[UUID, ...]
    counted: tuple[UUID, ...]
    untrusted: tuple[UUID, ...]

    @classmethod
    def of(cls, locations: Set[UUID], trust: Callable[[UUID], TrustLevel]) -> Places:
        """Sort `locations` by what they are."""
        clusters, counted, untrusted = [], [], []
        for uuid in sorted(locations):
            if is_cluster_uuid(uuid):
                clusters.append(uuid)
            elif trust(uuid) is TrustLevel.UNTRUSTED:
                untrusted.append(uuid)
            else:
                counted.append(uuid)
        return cls(tuple(clusters), tuple(counted), tuple(untrusted))


def _small_blob(line: bytes) -> tuple[str, bytes] | None:
    """Give path and id of a line of `git ls-tree -l -z` that may be a pointer."""
    about, _, path = line.partition(b"\t")
    mode, *_, sha, size = about.split() or [b"", b"", b"-"]
    if mode[:2] not in (b"10", b"12") or not size.isdigit() or int(size) > MAX_POINTER:
        return None
    return os.fsdecode(path), sha

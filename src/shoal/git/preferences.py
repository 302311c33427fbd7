"""What the repositories of a network want, answered from one repository.

Nothing is looked up before an expression asks for it, and what is looked up is as fresh as the
repository's last refresh().
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Set
from functools import cached_property
from typing import TYPE_CHECKING

from shoal.git.process import GitError
from shoal.logs import equivalent, metadata, web
from shoal.logs.trust import TrustLevel
from shoal.preferred.expr import terms_of
from shoal.preferred.policy import Policy
from shoal.values.key import Key
from shoal.values.number import read_float, read_int
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.git.reposizes import RepoSizes
    from shoal.preferred.balanced import Choice

_PREFERRED_DIR = "public"
_FULL_AT = 0.9
_PERCENT = 100  # what annex.fullybalancedthreshhold is given in
_NOBODY: frozenset[UUID] = frozenset()


class Preferences:
    """What repositories want of keys and files. Thread-safe.

    `numcopies` gives the number of copies wanted of a file (from the work tree's top; None: of
    a key alone), and `trust` how far a repository is trusted, where a command's options say
    something else than the repository does.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        numcopies: Callable[[str | None], int] | None = None,
        trust: Callable[[UUID], TrustLevel] | None = None,
    ) -> None:
        self.repository = repository
        self.logs = repository.logs
        self.numcopies = numcopies or self._numcopies
        self.trust = trust or self.logs.trust
        self._policies: tuple[int, dict[UUID, Policy]] = (-1, {})
        self._told: set[str] = set()

    @property
    def sizes(self) -> RepoSizes:
        """How many bytes each repository has, and what is on its way."""
        return self.repository.sizes

    def counts_sizes(self, repos: Iterable[UUID]) -> bool:
        """Tell whether it matters for one of these repositories how full it, or another, is:
        whether keys must be placed in a decision, see shoal.git.reposizes."""
        limits = self.logs.max_sizes()
        return any(limits.get(repo) or self.policy(repo).looks_at_sizes for repo in repos)

    def has_room(self, repo: UUID, key: Key) -> bool:
        """Tell whether a repository that lacks a key may take it without becoming larger than
        its maximum size, when all that is on its way there arrives."""
        limit = self.logs.max_sizes().get(repo)
        if not limit:
            return True
        return (self.sizes.live_size(repo) or 0) + (key.size or 0) <= limit

    def policy(self, repo: UUID) -> Policy:
        """Give what a repository wants. It is kept until what is configured changes."""
        logs = self.logs
        kept_for, policies = self._policies
        if kept_for != (changes := logs.changes):
            policies = {}
            self._policies = (changes, policies)
        found = policies.get(repo)
        if found is None:
            rules = RecordedRules(
                logs.wanted(), logs.required(), logs.group_wanted(), logs.groups()
            )
            found = policies[repo] = Policy.of(repo, rules)
            if any("[" in term.word for term in terms_of(found.wanted)):
                self._tell_of_patterns(found)
        return found

    def _tell_of_patterns(self, policy: Policy) -> None:
        """Let the user know, once, of patterns that cannot be used: the real program, which
        records them in silence, fails when it comes to them."""
        from shoal.preferred.lint_words import invalid_patterns  # hardly ever needed

        for finding in invalid_patterns(policy.wanted):
            text = f"what {policy.repo} wants: {finding.text}"
            if text not in self._told:
                self._told.add(text)
                self.repository.complain(text)

    def facts(
        self, key: Key | None, file: str | None = None, raw: frozenset[UUID] | None = None
    ) -> RepositoryFacts:
        """Give what expressions may ask about a key and a file; "" is no file. `raw` are the
        key's logged locations, dead repositories included, where these were read already."""
        return RepositoryFacts(self, key, file or None, raw)

    def wants(
        self,
        repo: UUID,
        key: Key,
        file: str | None,
        *,
        default: bool,
        absent: Set[UUID] = _NOBODY,
        present: Set[UUID] = _NOBODY,
        rebalance: bool = False,
    ) -> bool:
        """Tell whether `repo` wants a key; see Policy.wants."""
        return self.policy(repo).wants(
            self.facts(key, file),
            default=default,
            absent=absent,
            present=present,
            rebalance=rebalance,
        )

    def lets_go(
        self,
        repo: UUID,
        key: Key,
        file: str | None,
        other_files: Collection[str] = (),
        *,
        default: bool,
        rebalance: bool = False,
    ) -> bool:
        """Tell whether `repo` does not want a key under any of its names; see Policy.lets_go."""
        others = (self.facts(key, name) for name in other_files if name != file)
        return self.policy(repo).lets_go(
            self.facts(key, file), others, default=default, rebalance=rebalance
        )

    def requires(
        self, repo: UUID, key: Key, file: str | None, other_files: Collection[str] = ()
    ) -> bool:
        """Tell whether `repo`'s required content forbids to drop a key; see Policy.requires."""
        others = (self.facts(key, name) for name in other_files if name != file)
        return self.policy(repo).requires(self.facts(key, file), others)

    def _numcopies(self, file: str | None) -> int:
        repository = self.repository
        given = None
        if file is not None and not repository.is_bare:
            given = _attribute(repository, file)
        if given is None:
            given = self.logs.numcopies()
        return max(1, given or 1)


class RecordedRules:
    """What the git-annex branch says of wishes and groups, at one moment: the Rules of
    shoal.preferred.policy."""

    def __init__(
        self,
        wanted: Mapping[UUID, str],
        required: Mapping[UUID, str],
        group_wanted: Mapping[str, str],
        groups: Mapping[UUID, Set[str]],
    ) -> None:
        self._wanted = wanted
        self._required = required
        self._group_wanted = group_wanted
        self._groups = groups

    def wanted(self, repo: UUID) -> str:
        return self._wanted.get(repo, "")

    def required(self, repo: UUID) -> str:
        return self._required.get(repo, "")

    def group_wanted(self) -> Mapping[str, str]:
        return self._group_wanted

    def groups(self, repo: UUID) -> Set[str]:
        return self._groups.get(repo, frozenset())


class RepositoryFacts:
    """Facts about one key and one file name. What was looked up is kept: make a new one for
    each question that must be fresh."""

    def __init__(
        self,
        preferences: Preferences,
        key: Key | None,
        file: str | None,
        raw: frozenset[UUID] | None = None,
    ) -> None:
        self.key = key
        self.file = file
        self.choices: dict[Hashable, Choice] = {}
        self._given = raw
        self._preferences = preferences
        self._repository = preferences.repository
        self._logs = preferences.logs

    @cached_property
    def _raw(self) -> frozenset[UUID]:
        if self._given is not None:
            return self._given
        return _NOBODY if self.key is None else self._logs.locations(self.key, raw=True)

    @cached_property
    def _living(self) -> frozenset[UUID]:
        trust = self._preferences.trust
        living = frozenset(repo for repo in self._raw if trust(repo) is not TrustLevel.DEAD)
        return self._logs.with_clusters(living)

    def locations(self) -> Set[UUID]:
        return self._living

    def raw_locations(self) -> Set[UUID]:
        return self._raw

    def is_present(self, repo: UUID) -> bool:
        if self.key is None:
            return False
        if repo == self._repository.uuid:
            return self._repository.objects.present(self.key)
        return repo in self._living

    def trust(self, repo: UUID) -> TrustLevel:
        return self._preferences.trust(repo)

    def members(self, group: str) -> Set[UUID]:
        return frozenset(repo for repo, groups in self._logs.groups().items() if group in groups)

    def numcopies(self) -> int:
        return self._preferences.numcopies(self.file)

    def global_numcopies(self) -> int:
        return self._logs.numcopies() or 1

    def metadata(self) -> Mapping[str, Collection[str]]:
        found = metadata.current_with_times(self._read(metadata.path))
        return {name: [os.fsdecode(value) for value in values] for name, values in found.items()}

    def urls(self) -> Collection[str]:
        logged = web.parse(self._read(web.path))
        if not logged and self.key is not None:
            for path in web.old_paths(self.key, self._repository.branch_hash_levels):
                logged += web.parse(self._repository.branch.read(path))
        return [os.fsdecode(web.split_downloader(url)[0]) for url in logged]

    def equivalent_keys(self) -> Collection[Key]:
        return equivalent.parse(self._read(equivalent.path))

    def preferred_dir(self, repo: UUID) -> str:
        return self._logs.remote_configs().get(repo, {}).get("preferreddir", _PREFERRED_DIR)

    def is_unused(self) -> bool:
        if self.key is None:
            return False
        try:
            with open(self._repository.annex_path("unused"), "rb") as listed:
                words = (line.split(b" ") for line in listed.read().splitlines())
                return any(bytes(self.key) == word[1] for word in words if len(word) > 1)
        except FileNotFoundError:
            return False

    def max_size(self, repo: UUID) -> int | None:
        return self._logs.max_sizes().get(repo)

    @cached_property
    def _live_sizes(self) -> Mapping[UUID, int]:
        return self._preferences.sizes.live_sizes()

    def live_size(self, repo: UUID) -> int | None:
        return self._live_sizes.get(repo)

    @property
    def full_at(self) -> float:
        configured = self._repository.config.get("annex.fullybalancedthreshhold") or ""
        try:
            return read_float(configured)[0] / _PERCENT
        except ValueError:
            return _FULL_AT

    def _read(self, path: Callable[[Key, int], str]) -> bytes:
        if self.key is None:
            return b""
        repository = self._repository
        return repository.branch.read(path(self.key, repository.branch_hash_levels))


def _attribute(repository: Repository, file: str) -> int | None:
    """Give the file's annex.numcopies of .gitattributes as it is now, None when it has none."""
    words = ("check-attr", "-z", "annex.numcopies", "--", file)
    status, out, error = repository.git.ask(*words)
    if status != 0:
        raise GitError("check-attr", status, error)
    return _number(os.fsdecode(out.split(b"\0")[2]))


def _number(text: str | None) -> int | None:
    try:
        return read_int(text or "")
    except ValueError:
        return None

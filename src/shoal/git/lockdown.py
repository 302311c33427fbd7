"""Keeping the configuration of clusters from being changed by whoever may push.

With `annex.cluster-lockdown`, another version of the git-annex branch may change a cluster's
configuration only if an allowed key signed that: there must be a new commit in its history
that carries an SSH signature by somebody in gpg.ssh.allowedSignersFile, and that has just the
configuration which the version would bring. So a signed commit vouches for the configuration in
it, whoever made the commits before, and those with location logs that follow need no signature.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from shoal.git.process import CatFile, Git
from shoal.git.refs import BRANCH, NAME, describe
from shoal.logs.lockdown import PATHS, Change, Scope, locked_changes, scope_of
from shoal.logs.merge import union_merge
from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.git.repository import Repository

SETTING = "annex.cluster-lockdown"
_SSH_SIGNATURE = b"\ngpgsig -----BEGIN SSH SIGNATURE-----\n"
_QUARANTINE = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")
_AT_ONCE = 500  # commits that are read together
_SHOWN = 3  # changes that are named

_Logs = Mapping[str, bytes]


def is_locked(repository: Repository) -> bool:
    """Tell whether pushes and merges are to be judged. A value that says neither yes nor no
    counts as yes: it must not leave open what somebody meant to lock."""
    config = repository.config
    return config.get(SETTING) is not None and config.find_bool(SETTING) is not False


def warnings_about(repository: Repository) -> list[str]:
    """Say what is wrong with the setting."""
    value = repository.config.get(SETTING)
    if value is None or repository.config.find_bool(SETTING) is not None:
        return []
    return [f"{SETTING} is {value!r}, which is neither true nor false; it counts as true."]


def may_be_merged(ref: str) -> bool:
    """Tell whether git-annex would merge what is pushed to `ref`, or it is the branch itself."""
    return ref.rsplit("/", 1)[-1] == NAME


class Lockdown:
    """Judges other versions of the git-annex branch, against the branch as it is now.

    In a hook of git, before a push is accepted, what is pushed is in a quarantine: `in_hook`.
    close() it in the end.
    """

    def __init__(self, repository: Repository, *, in_hook: bool = False) -> None:
        self._repository = repository
        quarantine = {name: os.environ[name] for name in _QUARANTINE if name in os.environ}
        environment = quarantine if in_hook else {}
        self._git: Git = repository.git.with_environment(**environment)
        self._cat_file = CatFile(self._git)
        self._tip = repository.branch.tip
        self._committed = self._logs_of(self._tip)
        journal = repository.branch.journal
        self._here = {path: journal.read(path) or self._committed[path] for path in PATHS}
        self._scope = self._find_scope()
        self._rejected: list[str] = []  # commits whose signatures git does not accept

    def close(self) -> None:
        self._cat_file.close()

    def refusal(self, ref: str, sha: str) -> str | None:
        """Say why `ref` must not be set to, or merged at, `sha`; None when it may."""
        if not sha.strip("0"):
            return None if ref != BRANCH else "the git-annex branch must not be deleted"
        status, out, _ = self._git.ask("rev-parse", "--verify", "--quiet", f"{sha}^{{commit}}")
        if status != 0:
            return f"{describe(ref)} is no commit"
        commit = out.decode().strip()
        theirs = self._logs_of(commit)
        changes = self._changes(ref, theirs)
        self._rejected = []
        if not changes or any(self._vouches(ref, one, theirs) for one in self._signed(commit)):
            return None
        return self._sentence(ref, changes)

    def _changes(self, ref: str, theirs: _Logs) -> list[Change]:
        """Give what would change here. A version is merged; but one that replaces the branch
        may lack lines, too."""
        found = locked_changes(self._here, self._merged(theirs), self._scope)
        if ref == BRANCH and not found:
            return locked_changes(self._committed, theirs, self._scope)
        return found

    def _vouches(self, ref: str, signed: str, theirs: _Logs) -> bool:
        """Tell whether a signed commit has the configuration that `theirs` would bring."""
        logs = self._logs_of(signed)
        if locked_changes(self._merged(logs), self._merged(theirs), self._scope):
            return False
        return ref != BRANCH or not locked_changes(logs, theirs, self._scope)

    def _signed(self, commit: str) -> Iterator[str]:
        """Give the commits with a good signature that the branch lacks, the newest first."""
        known = [f"^{self._tip}"] if self._tip else []
        commits = self._git.run("rev-list", commit, *known).split()
        for start in range(0, len(commits), _AT_ONCE):
            some = commits[start : start + _AT_ONCE]
            for sha, found in zip(some, self._cat_file.read_many(some), strict=True):
                head = b"" if found is None else found.content.partition(b"\n\n")[0]
                if _SSH_SIGNATURE not in head:
                    continue
                if self._git.ask("verify-commit", sha.decode())[0] == 0:
                    yield sha.decode()
                else:
                    self._rejected.append(sha.decode())

    def _merged(self, theirs: _Logs) -> dict[str, bytes]:
        return {path: union_merge(self._here[path], theirs[path]) for path in PATHS}

    def _logs_of(self, commit: str | None) -> dict[str, bytes]:
        if commit is None:
            return dict.fromkeys(PATHS, b"")
        found = self._cat_file.read_many([os.fsencode(f"{commit}:{path}") for path in PATHS])
        contents = [b"" if one is None else one.content for one in found]
        return dict(zip(PATHS, contents, strict=True))

    def _find_scope(self) -> Scope:
        config = self._repository.config
        clusters = {u for u in config.under("annex.cluster.").values() if is_cluster_uuid(u)}
        nodes = {
            uuid
            for name in config.remotes()
            if (remote := config.remote(name)).own("annex-cluster-node") is not None
            and (uuid := remote.own("annex-uuid"))
        }
        return scope_of(
            self._repository.uuid,
            frozenset(map(UUID, clusters)),
            frozenset(map(UUID, nodes)),
            self._here,
        )

    def _sentence(self, ref: str, changes: list[Change]) -> str:
        shown = [f"{one.what}{self._of(one)} ({one.path})" for one in changes[:_SHOWN]]
        if len(changes) > _SHOWN:
            shown.append(f"{len(changes) - _SHOWN} more")
        text = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
        needed = (
            f"{describe(ref)} changes {text}; with {SETTING} this needs a commit signed by a "
            "key in gpg.ssh.allowedSignersFile"
        )
        if not self._rejected:
            return needed
        return (
            f"{needed}, and the signature of {self._rejected[0][:10]} is by none that counts there "
            "now (git verify-commit tells why)"
        )

    def _of(self, change: Change) -> str:
        if change.of is None:
            return ""
        if isinstance(change.of, bytes):
            return f" {change.of.decode('utf-8', 'replace')}"
        if change.of == self._repository.uuid:
            return " of this gateway"
        config = self._repository.config
        names = {config.remote(n).own("annex-uuid"): n for n in config.remotes()}
        names |= {u: f"cluster {n}" for n, u in config.under("annex.cluster.").items()}
        return f" of {names.get(change.of, change.of)}"


def without_refused(
    repository: Repository, siblings: Mapping[str, str], known: set[tuple[str, str]]
) -> dict[str, str]:
    """Leave out the siblings that the lockdown keeps from being merged, and warn of each; of
    those in `known` that was done before, and it grows."""
    import logging  # slow to import

    lockdown = Lockdown(repository)
    kept = {}
    try:
        for ref, commit in siblings.items():
            cause = lockdown.refusal(ref, commit)
            if cause is None:
                kept[ref] = commit
            elif (ref, commit) not in known:
                known.add((ref, commit))
                logging.getLogger("shoal.git").warning("%s is not merged: %s", describe(ref), cause)
    finally:
        lockdown.close()
    return kept

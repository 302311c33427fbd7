"""One git repository that git-annex uses: where it is, and what belongs to it.

The repository is shared with the real git-annex and with other shoal processes, so nothing
that is read from it stays true: refresh() looks, with a few stat calls, whether anything
changed on disk, and what is asked for after it is as fresh as that.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from shoal.errors import NotARepository
from shoal.git.config import GitConfig
from shoal.git.locks import Locker
from shoal.git.othertmp import OtherTmp
from shoal.git.permissions import Permissions
from shoal.git.process import CatFile, Git
from shoal.values.record import record
from shoal.values.uuid import UUID, parse_uuid

if TYPE_CHECKING:
    from shoal.git.annexlogs import AnnexLogs
    from shoal.git.branch import AnnexBranch
    from shoal.git.hooks import Hooks
    from shoal.git.objects import ObjectStore
    from shoal.git.reposizes import RepoSizes

VERSION = 10


class UnsupportedVersion(NotARepository):
    """The repository has a version of git-annex's layout that shoal does not use."""

    def __init__(self, path: str, version: str) -> None:
        older = version.isdecimal() and int(version) < VERSION
        super().__init__(
            f"{path} is a git-annex repository of version {version}, and shoal uses version "
            f"{VERSION} only",
            hint="git annex upgrade" if older else "use a newer shoal",
        )
        self.version = version


@record
class Place:
    """Where a repository is. All paths are absolute.

    `git_dir` and `common_dir` differ in a linked work tree, where `common_dir` is the main
    repository's git directory. `work_tree` is None for a bare repository.
    """

    git_dir: str
    common_dir: str
    work_tree: str | None


def locate(path: str) -> Place:
    """Give the repository at `path`: a work tree's top, a bare repository or a `.git`.

    Raises NotARepository when there is none, or git deems it unsafe to use.
    """
    path = os.path.abspath(path)
    inside = os.path.exists(os.path.join(path, "HEAD"))
    if not inside and not os.path.exists(os.path.join(path, ".git")):
        raise NotARepository(f"not a git repository: {path}")
    above = os.path.dirname(os.path.realpath(path))
    return _locate(path, {"GIT_CEILING_DIRECTORIES": above})


def discover(start: str = ".") -> Place:
    """Give the repository that contains `start`, as git finds it (GIT_DIR counts)."""
    given = {name: os.environ[name] for name in ("GIT_DIR", "GIT_WORK_TREE") if name in os.environ}
    return _locate(os.path.abspath(start), given)


def _locate(path: str, environment: dict[str, str] | None = None) -> Place:
    git = Git(None, environment=environment or {})
    asked = ("--absolute-git-dir", "--git-common-dir", "--is-bare-repository", "--show-toplevel")
    _, out, err = git.ask("-C", path, "rev-parse", *asked)
    found = os.fsdecode(out).rstrip("\n").split("\n")
    if len(found) < 3:  # the last answer is missing outside of a work tree
        cause = err.strip().splitlines()[0].removeprefix("fatal: ") if err.strip() else path
        hint = f"git config --global --add safe.directory {path}" if "safe.directory" in err else ""
        raise NotARepository(f"{path}: {cause}", hint=hint)
    git_dir, common, bare, *top = found
    common_dir = os.path.realpath(os.path.join(path, common))
    git_dir = os.path.realpath(git_dir)
    if bare == "true":
        return Place(git_dir, common_dir, None)
    return Place(git_dir, common_dir, top[0] if top else _work_tree_of(git_dir))


def _work_tree_of(git_dir: str) -> str | None:
    """Give the work tree of a git directory that was named itself."""
    pointer = os.path.join(git_dir, "gitdir")  # of a linked work tree: path of its .git
    if os.path.isfile(pointer):
        with open(pointer, encoding="utf-8", errors="surrogateescape") as file:
            return os.path.dirname(file.read().rstrip("\n"))
    configured = Git(git_dir).ask("config", "core.worktree")[1]
    if configured.strip():
        return os.path.normpath(os.path.join(git_dir, os.fsdecode(configured).rstrip("\n")))
    return os.path.dirname(git_dir) if os.path.basename(git_dir) == ".git" else None


class Repository:
    """A git repository with (usually) a git-annex in it. Thread-safe; close() it at the end."""

    def __init__(self, place: Place) -> None:
        self.git_dir = place.git_dir
        self.common_dir = place.common_dir
        self.work_tree = place.work_tree
        self.annex_dir = os.path.join(place.common_dir, "annex")
        self.git = Git(place.git_dir, place.work_tree)
        self.config = GitConfig(
            self.git,
            (
                os.path.join(place.common_dir, "config"),
                os.path.join(place.git_dir, "config.worktree"),
            ),
        )
        self.cat_file = CatFile(self.git)
        self._lock = threading.RLock()
        self._branch: AnnexBranch | None = None
        self._logs: AnnexLogs | None = None
        self._sizes: RepoSizes | None = None
        self.keeps_reserve = True
        """Whether annex.diskreserve is kept free; not so for a user who says --force."""
        self.complain: Callable[[str], None] = lambda text: None
        """Is told, in one sentence, what its user should know though everything goes on. May be
        called in any thread, with locks held."""
        self.note: Callable[[str], None] = lambda text: None
        """As `complain`, for what happens by the way."""
        self._settle()

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open the repository at `path`: a work tree's top, a bare repository or a `.git`.

        Raises NotARepository; UnsupportedVersion for a version that shoal does not use.
        """
        return cls(locate(os.fspath(path)))

    @classmethod
    def discover(cls, start: str | os.PathLike[str] = ".") -> Self:
        """Open the repository that contains the directory `start`. Raises as open()."""
        return cls(discover(os.fspath(start)))

    @property
    def path(self) -> str:
        """The work tree's top; the git directory of a bare repository."""
        return self.work_tree or self.git_dir

    @property
    def is_bare(self) -> bool:
        """Whether there is no work tree."""
        return self.work_tree is None

    @property
    def is_initialised(self) -> bool:
        """Whether git-annex was initialised here: both annex.uuid and annex.version are set."""
        return bool(self.config.get("annex.uuid")) and bool(self.config.get("annex.version"))

    @property
    def uuid(self) -> UUID:
        """The repository's UUID. Raises NotARepository when it is not initialised."""
        uuid, version = self.config.get("annex.uuid"), self.config.get("annex.version")
        if not uuid or not version:
            raise NotARepository(
                f"{self.path} is not initialised for git-annex", hint="First run: shoal init"
            )
        return parse_uuid(uuid)

    def annex_path(self, *parts: str) -> str:
        """Give a path below ANNEX, such as `annex_path("journal")`."""
        return os.path.join(self.annex_dir, *parts)

    def lock_path(self, name: str) -> str:
        """Give the path of one of ANNEX's lock files by its name, such as `keysdb`."""
        return f"{self.annex_dir}/{name}.lck"

    def make_directory(self, path: str) -> bool:
        """Make a directory at or below ANNEX with the modes of a shared repository; tell
        whether it was missing."""
        return self.permissions.make_directory(path, self.annex_dir)

    @property
    def is_writable(self) -> bool:
        """Whether this user may write to the annex (or make one)."""
        there = self.annex_dir if os.path.isdir(self.annex_dir) else self.common_dir
        return os.access(there, os.W_OK)

    # What is slow to import and not always needed is imported where it is asked for first.

    @property
    def branch(self) -> AnnexBranch:
        """The git-annex branch."""
        if self._branch is None:
            with self._lock:
                if self._branch is None:
                    from shoal.git.branch import AnnexBranch

                    self._branch = AnnexBranch(self)
        return self._branch

    @property
    def logs(self) -> AnnexLogs:
        """What the logs of the git-annex branch say."""
        if self._logs is None:
            with self._lock:
                if self._logs is None:
                    from shoal.git.annexlogs import AnnexLogs

                    self._logs = AnnexLogs(self)
        return self._logs

    @cached_property
    def hooks(self) -> Hooks:
        """git-annex's own hooks."""
        from shoal.git.hooks import Hooks

        return Hooks(self.common_dir, self.path, self.config)

    @cached_property
    def objects(self) -> ObjectStore:
        """The contents that are here."""
        from shoal.git.objects import ObjectStore

        return ObjectStore(self)

    @property
    def sizes(self) -> RepoSizes:
        """How many bytes of keys each repository has, and what is on its way."""
        with self._lock:
            if self._sizes is None:
                from shoal.git.reposizes import RepoSizes

                self._sizes = RepoSizes(self)
            return self._sizes

    @property
    def is_reserving(self) -> bool:
        """Whether this process has reserved room for keys, so that the next entry in a location
        log may have to be told to others. It never blocks."""
        return self._sizes is not None and self._sizes.is_reserving

    @cached_property
    def private_uuids(self) -> frozenset[UUID]:
        """The repositories that nothing must be published about: this one with annex.private,
        remotes with remote.N.annex-private."""
        found = set()
        if self.config.get_bool("annex.private", False) and (own := self.config.get("annex.uuid")):
            found.add(UUID(own))
        for name in self.config.remotes():
            remote = f"remote.{name}.annex"
            if self.config.get_bool(f"{remote}-private", False):
                uuid = self.config.get(f"{remote}-config-uuid") or self.config.get(f"{remote}-uuid")
                if uuid:
                    found.add(UUID(uuid))
        return frozenset(found)

    @cached_property
    def branch_hash_levels(self) -> int:
        """How many hash directories the git-annex branch has: 1 with annex.tune.branchhash1."""
        return 1 if self.config.get_bool("annex.tune.branchhash1", False) else 2

    @cached_property
    def database_dir(self) -> str:
        """Where databases are: ANNEX, or annex.dbdir/UUID."""
        configured = self.config.get("annex.dbdir")
        if not configured:
            return self.annex_dir
        return os.path.join(self.path, os.path.expanduser(configured), self.uuid)

    def refresh(self) -> bool:
        """Notice what others changed on disk; tell whether anything may have changed."""
        changed = self.refresh_config()
        return self.branch.refresh() or changed

    def refresh_config(self) -> bool:
        """As refresh(), for the configuration only: writing to the branch needs no more."""
        with self._lock:
            self.config.refresh()
            changed = self.config.generation != self._settled
            if changed:
                self._settle()
                if self._branch is not None:
                    self._branch.forget_known()
            return changed

    def close(self) -> None:
        """End the git processes, and delete temporary files that nobody needs any more.

        The repository may be used again afterwards.
        """
        if self._sizes is not None:
            self._sizes.close()
        self.cat_file.close()
        if os.path.isdir(self.annex_dir) and self.is_writable:
            self.othertmp.sweep()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _settle(self) -> None:
        """Work out again what follows from the configuration."""
        version = self.config.get("annex.version")
        if version and version != str(VERSION):
            raise UnsupportedVersion(self.path, version)
        self._settled = self.config.generation
        for name in ("branch_hash_levels", "database_dir", "private_uuids"):
            self.__dict__.pop(name, None)
        self.permissions = Permissions.parse(
            self.config.get("core.sharedrepository"),
            crippled=self.config.get_bool("annex.crippledfilesystem", False),
        )
        pidlock = None
        if self.config.get_bool("annex.pidlock", False):
            from shoal.git.pidlock import pidlock_of  # rarely needed

            timeout = self.config.get_float("annex.pidlocktimeout", 300.0)
            pidlock = pidlock_of(self.annex_path("pidlock"), timeout)
        self.locker = Locker(self.permissions, pidlock=pidlock)
        self.othertmp = OtherTmp(self.annex_dir, self.locker, self.permissions)

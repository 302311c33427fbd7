"""ANNEX/index: the git index in which commits of the git-annex branch are put together.

Whoever uses it holds the journal's lock. The file ANNEX/index.lck (a status, not a lock) names
the commit whose content is in the index; when the branch is somewhere else, somebody pushed
to it, and its content is merged in before anything is committed. The index may be ahead of
the branch, never behind what the journal had. Source: on-disk behaviour of git-annex
10.20261026.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING, TypeVar

from shoal.errors import ShoalError
from shoal.git.blobs import BlobWriter
from shoal.git.journal import Journal, branch_path
from shoal.git.process import Git, GitError
from shoal.git.refs import BRANCH, Refs, read_status
from shoal.logs.merge import union_merge

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_FEW = 32  # files that are cheaper to write one by one than to put into a pack
_PAIRS = 256  # pairs of blobs that are in memory at once
_PLAIN = ("core.fsmonitor=false", "core.splitIndex=false", "core.untrackedCache=false")
# This index has no work tree; and a file system monitor would inherit, and keep, the lock.
_ATTEMPTS = 100  # commits that a busy pusher may beat us to

T = TypeVar("T")
Staged = tuple[str, str | None]
"""A file of the branch and its blob; None takes the file away."""


class BranchMoves(ShoalError):
    """The branch was moved by others at every attempt to commit to it."""

    def __init__(self) -> None:
        super().__init__(f"{BRANCH} is moved by others faster than it can be committed to")


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that differs between a commit and the index, with the blob of each, if any."""

    path: str
    theirs: str | None
    ours: str | None


class BranchIndex:
    """The index, for as long as the journal's lock is held. `git` must inherit that lock."""

    def __init__(self, repository: Repository, git: Git, refs: Refs) -> None:
        self.path = repository.annex_path("index")
        self._git = git.with_environment(GIT_INDEX_FILE=self.path).with_settings(*_PLAIN)
        self._status_path = repository.annex_path("index.lck")
        self._refs = refs
        self._cat_file = repository.cat_file
        self._config = repository.config
        self._othertmp = repository.othertmp
        self.parent: str | None = None  # where the branch was before commit() moved it
        self._hash_name = self._config.get("extensions.objectformat") or "sha1"

    def prepare(self) -> str:
        """Make branch and index usable; give the commit that the branch is at."""
        with suppress(FileNotFoundError):
            os.unlink(self.path + ".lock")  # of a git that died: nobody else is here
        tip = self._refs.tip() or self._create_branch()
        if not os.path.exists(self.path):
            self._git.run("read-tree", tip)
            self.set_status(tip)
        return tip

    def mending(self, action: Callable[[], T]) -> T:
        """Do `action`; if it fails because the index file is broken, make that anew and do it
        again. `action` must begin with prepare().

        Nothing is lost by that: what was staged for a commit is still in the journal.
        """
        try:
            return action()
        except GitError:
            if self._git.ask("ls-files", "--stage")[0] == 0:
                raise
            os.unlink(self.path)
            return action()

    def status(self) -> str:
        """Give the commit whose content is in the index, "" when that is not known."""
        return read_status(self._status_path)

    def set_status(self, commit: str) -> None:
        """Record that the index has all of the content of `commit`."""
        self._othertmp.replace(self._status_path, f"{commit}\n".encode())

    def stage_journal(self, journal: Journal, names: Sequence[str]) -> None:
        """Put files of the journal into the index as they are."""
        if len(names) <= _FEW:
            lines = b"".join(
                os.fsencode(os.path.join(journal.directory, name)) + b"\n" for name in names
            )
            hashes = self._git.run(
                "hash-object", "-w", "--no-filters", "--stdin-paths", data=lines
            ).split()
            self.stage(zip(map(branch_path, names), map(bytes.decode, hashes), strict=True))
            return
        with BlobWriter(self._git, self._hash_name) as blobs:
            staged = [
                (branch_path(name), blobs.write(_read(os.path.join(journal.directory, name))))
                for name in names
            ]
            self._write_trees(blobs, staged)
        self.stage(staged)

    def stage(self, staged: Iterable[Staged]) -> None:
        """Change the blobs of files in the index."""
        self._git.feed("update-index", "-z", "--index-info", lines=map(_index_line, staged))

    def _write_trees(self, blobs: BlobWriter, changes: Sequence[Staged]) -> None:
        """Write, with the blobs, the trees that a commit of many changes will need."""
        tip = self._refs.tip()
        if len(changes) > _FEW and tip is not None:
            blobs.write_trees(tip, changes)

    def read_verbatim(self, commit: str) -> None:
        """Make the index just what `commit` is, whatever it was before."""
        self._git.run("read-tree", commit)

    def tree(self) -> str:
        """Write the index as a tree; give the tree."""
        return self._git.line("write-tree")

    def merge(self, commit: str) -> None:
        """Union-merge the files of `commit` into the index."""
        changes: list[Staged] = []
        with BlobWriter(self._git, self._hash_name) as blobs:
            for batch in _in_batches(self._differences(commit)):
                changes += self._union(batch, blobs)
            self._write_trees(blobs, changes)
        if changes:
            self.stage(changes)

    def rewrite(self, change: Callable[[str, bytes], bytes | None]) -> None:
        """Give each file to `change`: it says the new content, b"" to remove the file, None to
        keep it."""
        changes: list[Staged] = []
        listed = self._git.run("ls-files", "-z", "--stage").split(b"\0")
        with BlobWriter(self._git, self._hash_name) as blobs:
            for batch in _in_batches(entry for entry in listed if entry):
                files = [entry.split(b"\t", 1) for entry in batch]
                names = [info.split()[1] for info, _ in files]
                for (_, path), blob in zip(files, self._cat_file.read_many(names), strict=True):
                    if blob is None:
                        continue
                    new = change(os.fsdecode(path), blob.content)
                    if new is not None and new != blob.content:
                        changes.append((os.fsdecode(path), blobs.write(new) if new else None))
            self._write_trees(blobs, changes)
        if changes:
            self.stage(changes)

    def write(self, path: str, content: bytes) -> None:
        """Put one file into the index."""
        blob = self._git.line("hash-object", "-w", "--stdin", data=content)
        self.stage([(path, blob)])

    def read(self, path: str) -> bytes:
        """Give the content of a file as it is in the index, b"" when it is not there."""
        listed = self._git.run("ls-files", "-z", "--stage", "--", path)
        blob = self._cat_file.read(listed.split()[1]) if listed else None
        return b"" if blob is None else blob.content

    def commit(self, message: str, parents: Iterable[str] = ()) -> str:
        """Commit the index to the branch, with the branch and `parents` as parents.

        Whatever others push to the branch meanwhile is merged in. Nothing is committed when
        it would change nothing. Gives the commit that the branch is at.
        """
        for _ in range(_ATTEMPTS):
            tip = self.prepare()
            if self.status() != tip:
                self.merge(tip)
                self.set_status(tip)
            tree = self.tree()
            others = [parent for parent in dict.fromkeys(parents) if parent != tip]
            self.parent = tip
            if not others and tree == self.tree_of(tip):
                return tip
            commit = self.commit_tree(tree, [tip, *others], message)
            if self.move_branch(commit, tip):
                self.set_status(commit)
                return commit
        raise BranchMoves

    def tree_of(self, commit: str) -> str:
        """Give the tree of a commit."""
        return self._git.line("rev-parse", "--verify", f"{commit}^{{tree}}")

    def commit_tree(self, tree: str, parents: Sequence[str], message: str) -> str:
        """Make a commit; give it. The branch is not moved."""
        words = ["commit-tree", tree]
        for parent in parents:
            words += ["-p", parent]
        if not self._config.get_bool("annex.allowsign", False):
            words.append("--no-gpg-sign")
        elif self._config.get_bool("commit.gpgsign", False):
            words.append("-S")
        git = self._git.with_environment(**self._identity())
        return git.line(*words, data=message.encode("utf-8", "surrogateescape") + b"\n")

    def move_branch(self, commit: str, expected: str) -> bool:
        """Point the branch to `commit` if it is at `expected` (zeros: missing); tell whether
        it was."""
        words = ("update-ref", BRANCH, commit, expected)
        status, _, err = self._git.ask(*words)
        if status != 0 and self._refs.remove_stale_lock():
            status, _, err = self._git.ask(*words)
        if status != 0 and (self._refs.tip() or "0" * len(commit)) == expected:
            raise GitError("update-ref", status, err)
        return status == 0

    def _identity(self) -> dict[str, str]:
        """Give what git needs to commit, when neither configuration nor environment name a
        user: the login name, as git-annex does."""
        if self._config.get_bool("user.useconfigonly", False):
            return {}
        environment = {}
        for role in ("AUTHOR", "COMMITTER"):
            for part in ("NAME", "EMAIL"):
                name = f"GIT_{role}_{part}"
                keys = (f"user.{part.lower()}", f"{role.lower()}.{part.lower()}")
                if name not in os.environ and not any(map(self._config.get, keys)):
                    environment[name] = _login()
        return environment

    def _create_branch(self) -> str:
        """Make the branch: where origin's is, or empty."""
        origin = self._refs.siblings().get("refs/remotes/origin/git-annex")
        if origin is None:
            empty = self._git.line("mktree", data=b"")
            message = self._config.get("annex.commitmessage") or "branch created"
            origin = self.commit_tree(empty, [], message)
        self.move_branch(origin, "0" * len(origin))
        tip = self._refs.tip()
        assert tip is not None
        return tip

    def _differences(self, commit: str) -> Iterator[Difference]:
        """Give the files that `commit` has and the index lacks, or has otherwise."""
        words = ("diff-index", "--cached", "--raw", "-z", "-r", "--no-renames", "--no-abbrev")
        with self._git.reading(*words, commit, "--") as out:
            fields = _split_at_nul(out)
            for info in fields:
                path = os.fsdecode(next(fields))
                mode, _, theirs, ours, status = info.lstrip(b":").split()
                if status != b"A" and mode != b"160000":
                    blob = None if status == b"D" else ours.decode()
                    yield Difference(path, theirs.decode(), blob)

    def _union(self, batch: Sequence[Difference], blobs: BlobWriter) -> Iterator[Staged]:
        both = [one for one in batch if one.ours is not None]
        names = [name.encode() for one in both for name in (one.theirs, one.ours) if name]
        contents = iter(self._cat_file.read_many(names))
        for one in batch:
            if one.ours is None:
                yield one.path, one.theirs
                continue
            theirs, ours = next(contents), next(contents)
            if theirs is None or ours is None:
                raise GitError("cat-file", 1, f"a blob of {one.path} is missing")
            merged = union_merge(ours.content, theirs.content)
            if merged is theirs.content:
                yield one.path, one.theirs
            elif merged is not ours.content:
                yield one.path, blobs.write(merged)


def _login() -> str:
    import getpass  # slow to import, and rarely needed

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _index_line(staged: Staged) -> bytes:
    path, blob = staged
    if blob is None:
        return b"0 %s\t%s\0" % (b"0" * 40, os.fsencode(path))
    return b"100644 %s\t%s\0" % (blob.encode(), os.fsencode(path))


def _split_at_nul(stream: IO[bytes]) -> Iterator[bytes]:
    """Give the parts of a stream that end in NUL."""
    rest = b""
    while chunk := stream.read(1 << 16):
        *parts, rest = (rest + chunk).split(b"\0")
        yield from parts


def _in_batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, _PAIRS)):
        yield batch

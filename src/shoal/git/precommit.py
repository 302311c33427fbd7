"""What git-annex does before a commit of the user's: mend links that were moved, fill pointers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shoal.git.pointers import link_target, linked_key
from shoal.git.smudge import SmudgeLog
from shoal.git.staging import SYMLINK, Staged, Stager

if TYPE_CHECKING:
    from shoal.git.repository import Repository


def prepare_commit(repository: Repository) -> bool:
    """Mend the staged links, fill pointer files, and run the user's own hook; tell whether
    that succeeded."""
    _mend_links(repository)
    SmudgeLog(repository).fill()
    return repository.hooks.run("pre-commit-annex", "annex.pre-commit-command")


def _mend_links(repository: Repository) -> None:
    """Let staged links lead to their object from where they are now."""
    words = ("diff", "--cached", "--name-only", "-z", "--diff-filter=ACMRT", "--no-renames")
    with Stager(repository) as stager:
        for path in repository.git.run(*words).split(b"\0"):
            if path:
                _mend(repository, path, stager)


def _mend(repository: Repository, path: bytes, stager: Stager) -> None:
    full = os.path.join(repository.path, os.fsdecode(path))
    key = linked_key(full)
    if key is None:
        return
    target = link_target(full, repository.objects.candidates(key)[0])
    if os.readlink(full) == target:
        return
    status = os.lstat(full)
    mended = f"{full}.{os.getpid()}.annextmp"
    os.symlink(target, mended)
    os.utime(mended, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
    os.rename(mended, full)
    stager.add(Staged(path, SYMLINK, os.fsencode(target)))

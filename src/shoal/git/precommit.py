"""Before a commit: links to contents that were moved to another directory lead there again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shoal.git.pointers import link_target, linked_key

if TYPE_CHECKING:
    from shoal.git.process import Git
    from shoal.git.repository import Repository

_CHANGED = ("diff", "--cached", "--name-only", "-z", "--diff-filter=ACMRT", "--no-renames")
_INDEX = "GIT_INDEX_FILE"


def mend_links(repository: Repository) -> list[str]:
    """Let every staged symlink to a content lead to it from where it is now, and stage it.

    Gives the paths (from the top) of those that were changed. The index is the one that git
    names in GIT_INDEX_FILE to its hooks.
    """
    git = repository.git
    if index := os.environ.get(_INDEX):
        git = git.with_environment(**{_INDEX: os.path.join(repository.path, index)})
    mended = []
    for path in map(os.fsdecode, git.run(*_CHANGED).split(b"\0")):
        full = os.path.join(repository.path, path)
        key = linked_key(full) if path else None
        if key is None:
            continue
        target = link_target(full, repository.objects.new_path(key))
        if target != os.readlink(full):
            _replace(full, target)
            _stage(git, path, target)
            mended.append(path)
    return mended


def _replace(full: str, target: str) -> None:
    temporary = f"{full}.{os.getpid()}.annextmp"
    os.symlink(target, temporary)
    os.replace(temporary, full)


def _stage(git: Git, path: str, target: str) -> None:
    blob = git.line("hash-object", "-w", "--no-filters", "--stdin", data=os.fsencode(target))
    line = b"120000 %s\t%s\0" % (blob.encode(), os.fsencode(path))
    git.run("update-index", "-z", "--index-info", data=line)

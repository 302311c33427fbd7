"""Work trees whose `.git` is a file: submodules, linked work trees, separate git directories.

git-annex's symlinks point to `.git/annex/objects`, so git-annex turns that file into a symlink
to the git directory, and in a linked work tree's git directory makes `annex` a symlink to the
main repository's. Source: behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.git.repository import Repository


def fix_git_file(repository: Repository) -> None:
    """Turn a `.git` file into a symlink, where the file system has symlinks.

    Harmless when there is nothing to do.
    """
    if repository.work_tree is None or not repository.config.get_bool("core.symlinks", True):
        return
    path = os.path.join(repository.work_tree, ".git")
    if not os.path.isfile(path):
        return
    target = os.path.relpath(repository.git_dir, repository.work_tree)
    new = f"{path}.{os.getpid()}"
    os.symlink(target, new)
    os.rename(new, path)
    if repository.git_dir != repository.common_dir:
        annex = os.path.join(repository.git_dir, "annex")
        if not os.path.lexists(annex):
            os.symlink(os.path.relpath(repository.annex_dir, repository.git_dir), annex)
    elif f"{os.sep}.git{os.sep}modules{os.sep}" in repository.git_dir:
        repository.config.unset("core.worktree")

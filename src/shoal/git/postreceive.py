"""What is done after a push to this repository: its own branches get what was pushed for them.

`git annex sync` pushes to synced/BRANCH, since git refuses pushes to a branch that is checked
out. With receive.denyCurrentBranch=updateInstead the user wants the work tree to follow: then
the branch is moved to what came for it, if nothing is lost by that. (git-annex 10.20261026 does so
in adjusted branches only, and leaves the others to the next sync.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_HEADS = "refs/heads/"


def pushed_refs(lines: Iterable[bytes]) -> dict[str, str]:
    """Read what git tells a hook of a push: `OLD NEW REF` for each ref. Gives the new ones."""
    words = (line.rstrip(b"\n").split(b" ", 2) for line in lines)
    return {
        found[2].decode("utf-8", "surrogateescape"): found[1].decode("ascii", "replace")
        for found in words
        if len(found) == 3
    }


def follow(repository: Repository, pushed: Collection[str]) -> list[str]:
    """Merge what was pushed into the git-annex branch, and into the work tree if that is
    wanted. Gives warnings. Raises ShoalError when the git-annex branch cannot be merged."""
    repository.branch.update()
    setting = repository.config.get("receive.denycurrentbranch") or ""
    if repository.is_bare or setting.lower() != "updateinstead":
        return []
    status, out, _ = repository.git.ask("symbolic-ref", "--quiet", "HEAD")
    branch = out.decode("utf-8", "surrogateescape").rstrip("\n").removeprefix(_HEADS)
    synced = f"{_HEADS}synced/{branch}"
    if status != 0 or synced not in pushed:
        return []
    status, _, said = repository.git.ask("merge", "--quiet", "--ff-only", synced)
    if status == 0:
        return []
    cause = " ".join(said.split())
    return [
        f"synced/{branch} was not merged into {branch} ({cause}). Run git annex sync in this "
        "repository."
    ]

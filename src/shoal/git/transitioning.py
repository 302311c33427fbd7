"""Making transitions of the git-annex branch: leaving history behind, and dead repositories.

Source: behaviour of git-annex 10.20261026 (`git annex forget`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from shoal.git.clock import candidate_clock
from shoal.git.index import BranchIndex, BranchMoves
from shoal.logs import dropdead, export, remote, transitions, trust
from shoal.logs.transitions import Transition

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_ATTEMPTS = 100
_EXPORT_TREE = "export.tree"


def forget(repository: Repository, made: Collection[Transition]) -> None:
    """Make transitions of a repository's branch: leave its history behind, and dead
    repositories. Other clones follow when they merge."""
    branch = repository.branch

    def make(index: BranchIndex) -> None:
        tip = index.prepare()
        names = branch.journal.names()
        index.stage_journal(branch.journal, names)
        if index.status() != tip:
            index.merge(tip)
            index.set_status(tip)
        log = transitions.change(index.read(transitions.PATH), made, candidate_clock())
        index.write(transitions.PATH, log)
        all_made = transitions.known(transitions.parse(log))
        make_transitions(repository, index, all_made, parents=(), keep_history=False)
        branch.journal.remove(names)

    with branch.locked_index() as index:
        index.mending(lambda: make(index))
    branch.changes.notice()
    repository.hooks.branch_updated()


def make_transitions(
    repository: Repository,
    index: BranchIndex,
    made: Sequence[Transition],
    *,
    parents: Sequence[str],
    keep_history: bool,
) -> None:
    """Make transitions on all files of the index, and commit it.

    With `keep_history` the commit has the branch and `parents` as parents; otherwise only
    `parents`, and the branch is put there. Exported trees stay reachable.
    """
    words = ", ".join(transition.description for transition in made)
    for _ in range(_ATTEMPTS):
        tip = index.prepare()
        if index.status() != tip:
            index.merge(tip)
            index.set_status(tip)
        if Transition.FORGET_DEAD_REMOTES in made:
            index.rewrite(drop_dead_rules(repository, index.read))
        if keep_history:
            grafted = graft_exports(repository, index, tip)
            if grafted == tip or index.move_branch(grafted, tip):
                index.set_status(grafted)
                index.commit(f"continuing transition {words}", parents)
                return
            continue
        beginning = "continuing transition" if parents else "new branch for transition"
        commit = index.commit_tree(index.tree(), parents, f"{beginning} {words}")
        grafted = graft_exports(repository, index, commit)
        if index.move_branch(grafted, tip):
            index.set_status(grafted)
            return
    raise BranchMoves


def drop_dead_rules(
    repository: Repository, read: Callable[[str], bytes]
) -> Callable[[str, bytes], bytes]:
    """Give the function that takes dead repositories out of a file of the branch.

    Who is dead is looked up with `read`.
    """
    dead = dropdead.dead_in(read(trust.PATH), read(remote.PATH))
    levels = repository.branch_hash_levels
    return lambda path, log: dropdead.drop_dead(path, log, dead, levels)


def graft_exports(repository: Repository, index: BranchIndex, parent: str) -> str:
    """Make commits on top of `parent` that keep the exported trees from being collected.

    Gives the last of them, `parent` when nothing was exported. Their content is `parent`'s.
    """
    exported = export.parse(index.read(export.PATH)).values()
    for tree in dict.fromkeys(one.tree.decode() for one in exported):
        parent = _graft(repository, index, tree, parent) or parent
    return parent


def _graft(repository: Repository, index: BranchIndex, tree: str, parent: str) -> str | None:
    git = repository.git
    status, found, _ = git.ask("rev-parse", "--verify", "--quiet", f"{tree}^{{tree}}")
    if status != 0:
        return None
    here = index.tree_of(parent)
    entries = git.run("ls-tree", "-z", here)
    entry = b"040000 tree %s\t%s\0" % (found.strip(), _EXPORT_TREE.encode())
    with_export = git.line("mktree", "-z", data=entries + entry)
    graft = index.commit_tree(with_export, [parent], "graft")
    return index.commit_tree(here, [graft], "graft cleanup")

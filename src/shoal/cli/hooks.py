"""What git's hooks run: `shoal pre-commit`, `post-receive`, `pre-push` and `pre-receive`.

The first three are there so that hooks which git-annex wrote work where only shoal is installed;
pre-push has nothing to do: shoal has no exporttree remotes. The last is shoal's own, and
refuses pushes that change a locked configuration (annex.cluster-lockdown).
"""

from __future__ import annotations

import argparse
import os
import sys

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.errors import ShoalError


def add_arguments(parser: Parser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="*")


def run(args: argparse.Namespace, context: Context) -> int:
    context.commits = False
    if context.command == "pre-commit":
        return _pre_commit(context)
    pushed = [] if sys.stdin.isatty() else sys.stdin.buffer.readlines()
    match context.command:
        case "post-receive":
            return _post_receive(context, pushed)
        case "pre-receive":
            return _pre_receive(context, pushed)
        case _:
            return 0


def _pre_receive(context: Context, pushed: list[bytes]) -> int:
    from shoal.git.lockdown import Lockdown, is_locked, may_be_merged
    from shoal.git.postreceive import pushed_refs

    _leave_git_directory()
    repository = context.found_repository
    judged = {ref: sha for ref, sha in pushed_refs(pushed).items() if may_be_merged(ref)}
    if not judged or not is_locked(repository):
        return 0
    lockdown = Lockdown(repository, in_hook=True)
    try:
        causes = [cause for ref, sha in judged.items() if (cause := lockdown.refusal(ref, sha))]
    finally:
        lockdown.close()
    if causes:
        raise ShoalError(f"refused: {'; '.join(causes)}")
    return 0


def _post_receive(context: Context, pushed: list[bytes]) -> int:
    from shoal.git.postreceive import follow, pushed_refs

    _leave_git_directory()
    if context.found_repository.is_initialised:
        for warning in follow(context.found_repository, pushed_refs(pushed)):
            context.out.warning(warning)
    return 0


def _leave_git_directory() -> None:
    """Go to the work tree: git runs a post-receive hook in .git, as if that were one."""
    if os.environ.get("GIT_DIR") == "." and os.path.basename(os.getcwd()) == ".git":
        os.chdir("..")
        del os.environ["GIT_DIR"]


def _pre_commit(context: Context) -> int:
    from shoal.git.precommit import mend_links

    repository = context.repository
    for path in mend_links(repository):
        context.out.line(f"fix {path} ok")
    if not repository.hooks.run("pre-commit-annex", "annex.pre-commit-command"):
        raise ShoalError("the pre-commit-annex hook failed")
    return 0

"""What git's hooks run: `shoal pre-commit`, `post-receive` and `pre-push`.

The latter two have nothing to do here: shoal has no exporttree remotes to update after a push,
and none that were verified by hand. They are there so that hooks which git-annex wrote work
where only shoal is installed.
"""

from __future__ import annotations

import argparse
import sys

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.errors import ShoalError


def add_arguments(parser: Parser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="*")


def run(args: argparse.Namespace, context: Context) -> int:
    context.commits = False
    if context.command != "pre-commit":
        if not sys.stdin.isatty():
            sys.stdin.buffer.read()
        return 0
    return _pre_commit(context)


def _pre_commit(context: Context) -> int:
    from shoal.git.precommit import mend_links

    repository = context.repository
    for path in mend_links(repository):
        context.out.line(f"fix {path} ok")
    if not repository.hooks.run("pre-commit-annex", "annex.pre-commit-command"):
        raise ShoalError("the pre-commit-annex hook failed")
    return 0

"""`shoal merge`: merge what was fetched into the git-annex branch."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser, add_json
from shoal.cli.context import Context
from shoal.cli.output import Subject


def add_arguments(parser: Parser) -> None:
    add_json(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    with context.out.item(Subject(text="git-annex")):
        branch = context.repository.branch
        branch.update()
        branch.commit()
    return context.out.exit_code

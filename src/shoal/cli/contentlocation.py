"""`shoal contentlocation`: where the content of keys is."""

from __future__ import annotations

import argparse
import os

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.selection import add_batch, each_word, parse_key


def add_arguments(parser: Parser) -> None:
    parser.add_argument("keys", metavar="KEY", nargs="*")
    add_batch(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    context.commits = False  # it only reads
    objects, out = context.repository.objects, context.out

    def show(word: str) -> bool:
        key = parse_key(word)
        path = objects.path(key) if objects.present(key) else None
        if path is None:
            return False
        out.line(os.path.relpath(path))
        out.flush()
        return True

    fine = each_word(args.keys, args.batch, args.z, show, out.blank)
    return 0 if fine else 1

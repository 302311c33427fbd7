"""`shoal lookupkey`: the keys of files."""

from __future__ import annotations

import argparse
import os

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.selection import add_batch, each_word
from shoal.git.pointers import pointed_key
from shoal.values.key import Key


def add_arguments(parser: Parser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="*")
    parser.add_argument("--ref", action="store_true", help="look up key used by ref to file")
    add_batch(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    context.commits = False  # it only reads
    out, tree = context.out, None if args.ref else context.session.work_tree

    def show(word: str) -> bool:
        found: Key | None
        if tree is None:
            blob = context.repository.cat_file.read(os.fsencode(word))
            found = pointed_key(blob.content) if blob and blob.kind == "blob" else None
        else:
            file = tree.lookup(word)
            found = file.key if file else None
        if found is not None:
            out.line(str(found))
            out.flush()
        return found is not None

    fine = each_word(args.files, args.batch, args.z, show, out.blank, stop=True)
    return 0 if fine else 1

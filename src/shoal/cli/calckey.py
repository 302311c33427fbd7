"""`shoal calckey`: the key that a file would get."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.selection import add_batch, each_word


def add_arguments(parser: Parser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="*")
    parser.add_argument("-b", "--backend", metavar="NAME", help="key-value backend to use")
    add_batch(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.annex.calckey import CannotMakeKey, key_of_file

    repository, out = context.repository, context.out

    def show(word: str) -> bool:
        try:
            key = key_of_file(repository, word, args.backend)
        except CannotMakeKey as error:
            if not args.batch:
                out.complain(str(error))
            return False
        out.line(str(key))
        out.flush()
        return True

    # The real program ends at the first file that is none.
    fine = each_word(args.files, args.batch, args.z, show, out.blank, stop=True)
    return 0 if fine else 1

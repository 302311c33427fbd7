"""`shoal examinekey`: what a key says of itself."""

from __future__ import annotations

import argparse

from shoal.cli.arguments import Parser, add_json
from shoal.cli.context import Context
from shoal.cli.format import Format
from shoal.cli.selection import add_batch, each_word, parse_key
from shoal.errors import ShoalError


def add_arguments(parser: Parser) -> None:
    parser.add_argument("keys", metavar="KEY", nargs="*")
    parser.add_argument("--format", metavar="FORMAT", help="control format of output")
    parser.add_argument("--print0", action="store_true", help="output the file, and a null")
    parser.add_argument("--migrate-to-backend", metavar="NAME", help="key in another backend")
    parser.add_argument("--filename", metavar="FILE", help="associated file of the key")
    add_batch(parser)
    add_json(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    context.commits = False  # it only reads
    from shoal.annex.keyfields import key_fields, migrated, object_fields
    from shoal.values.backend import hash_name

    repository, out = context.repository, context.out
    target = args.migrate_to_backend
    if target is not None and hash_name(target.encode("utf-8", "surrogateescape")) is None:
        raise ShoalError(f"unknown backend {target}")
    text = "${file}\0" if args.print0 else args.format
    form = None if text is None else Format(text)

    def show(word: str) -> bool:
        name, _, behind = word.partition(" ")  # a KEY with a space in it cannot be said
        file = behind or args.filename
        key = parse_key(name)
        if target is not None:
            key = migrated(repository, key, target, file)
        fields = {**key_fields(key), **object_fields(repository, key)}
        if file is not None:
            fields["file"] = file
        if out.json:
            out.record({**fields, "error-messages": []})
        elif form is not None:
            out.line(form.render(fields), end="")
        else:
            out.line(str(key))
        out.flush()
        return True

    each_word(args.keys, args.batch, args.z, show, out.blank)
    return 0

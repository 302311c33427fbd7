"""`shoal find`: lists annexed files, by default those whose content is here."""

from __future__ import annotations

import argparse

from shoal.annex.files import NoWorkTree
from shoal.annex.keyfields import key_fields
from shoal.cli.arguments import Parser, add_json
from shoal.cli.context import Context
from shoal.cli.format import Format
from shoal.cli.selection import Selection, Work, add_batch, add_matching
from shoal.values.key import Key

_PRESENT = [("in", "here")]


def add_arguments(parser: Parser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="*")
    parser.add_argument("--format", metavar="FORMAT", help="control format of output")
    parser.add_argument("--print0", action="store_true", help="separate by nulls, not by lines")
    parser.add_argument("--branch", metavar="REF", help="files in the specified branch or treeish")
    add_batch(parser)
    add_json(parser)
    add_matching(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    context.commits = False  # it only reads
    if context.repository.is_bare and not args.branch:
        raise NoWorkTree
    context.out.lists = True
    args.matching = args.matching or _PRESENT
    text = "${file}\0" if args.print0 else args.format
    form = None if text is None else Format(text)
    selection = Selection(args, context, keyed=False)
    for work in selection.works():
        if work.candidate is not None:
            if not context.limits.admit(work.candidate.key, context.repository):
                continue
            _show(work, work.candidate.key, form, context)
        elif selection.batch:
            context.out.blank()
        if selection.batch:
            context.out.flush()
    return context.out.exit_code


def _show(work: Work, key: Key, form: Format | None, context: Context) -> None:
    name = work.subject.file or work.subject.text or ""
    if context.out.json:
        context.out.record({**key_fields(key), "file": name, "error-messages": []})
    elif form is None:
        context.out.line(name)
    else:
        context.out.line(form.render({**key_fields(key), "file": name}), end="")

"""`shoal info`: information about the repository, remotes, files and trees."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from shoal.annex.names import BUILT_IN
from shoal.cli.arguments import Parser, add_json
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.cli.selection import read_batch
from shoal.errors import ShoalError

if TYPE_CHECKING:
    from shoal.annex.files import AnnexedFile
    from shoal.annex.info import Info, Stat
    from shoal.annex.jsonvalue import JSON

_NOTHING = "not a directory or an annexed file or a treeish or a remote or a uuid"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("items", metavar="ITEM", nargs="*")
    parser.add_argument("--bytes", action="store_true", help="display file sizes in bytes")
    parser.add_argument("--batch", action="store_true", help="read items from stdin")
    parser.add_argument("-z", action="store_true", help="null delimited batch input")
    parser.add_argument(
        "--dead-repositories", action="store_true", help="list repositories marked as dead"
    )
    parser.add_argument(
        "--show", metavar="NAME", action="append", default=[], help="only show this"
    )
    add_json(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.annex.info import Info

    context.repository.branch.update()
    info = Info(context.session, in_bytes=args.bytes, fast=context.settings.fast)
    shown = _Shown(context, frozenset(args.show))
    if args.dead_repositories:
        shown.show("info", [], [info.dead_repositories()])
    elif args.batch:
        for line in read_batch(args.z):
            _show_item(line, info, shown, context)
            context.out.flush()
    elif not args.items:
        shown.show("info", [], info.of_repository())
    for item in args.items:
        _show_item(item, info, shown, context)
    return context.out.exit_code


class _Shown:
    """Shows statistics as they come, or all of an item as one JSON object."""

    def __init__(self, context: Context, names: frozenset[str]) -> None:
        self._out = context.out
        self._names = names

    def show(self, command: str, given: list[str], stats: Iterable[Stat], **more: JSON) -> None:
        """Show the statistics of one item."""
        record: dict[str, JSON] = {
            "command": command, "error-messages": [], "input": given, "success": True, **more
        }  # fmt: skip
        for stat in stats:
            if self._names and stat.name not in self._names:
                continue
            if self._out.json:
                record[stat.name] = stat.value
            else:
                self._out.line(f"{stat.name}: {stat.text}")
                for line in stat.lines:
                    self._out.line(f"\t{line}")
        if self._out.json:
            self._out.record(record)


def _show_item(word: str, info: Info, shown: _Shown, context: Context) -> None:
    """Find out what `word` names, and tell about it: a directory, a remote, a repository, an
    annexed file, or a commit."""
    session = context.session
    path = _directory(word, context)
    if path is not None:
        tree = session.work_tree
        found = [(e.path, key) for e, key in tree.keys_of(iter(tree.entries([path])))]
        return shown.show(f"info {word}", [word], info.of_directory(word, found))
    for settings in session.settings:
        if word in (settings.name, settings.uuid):
            return shown.show(f"info {settings.name}", [word], info.of_remote(settings))
    for uuid, name in BUILT_IN.items():
        if word in (name, uuid):
            return shown.show(f"info {name}", [word], info.of_built_in(uuid))
    file = _file(word, context)
    if file is not None:
        stats = info.of_file(file)
        key = str(file.key)
        return shown.show(f"info {word}", [word], stats, file=file.shown, key=key)
    try:
        uuid = session.uuid_of(word)
    except ShoalError as error:
        return _show_tree(word, info, shown, context, str(error))
    return shown.show(f"info {uuid}", [word], info.of_uuid(uuid))


def _show_tree(word: str, info: Info, shown: _Shown, context: Context, cause: str) -> None:
    try:
        found = list(context.session.annexed_in(word))
    except ShoalError:
        ambiguous = cause.startswith("found multiple")
        with context.out.item(Subject(text=word, file=word), given=[word]) as item:
            item.note(cause if ambiguous else _NOTHING)
            item.fail()
        return
    shown.show(f"info {word}", [word], info.of_tree(word, found))


def _directory(word: str, context: Context) -> str | None:
    """Give the path from the top of a directory of the work tree."""
    if context.repository.is_bare or not os.path.isdir(word):
        return None
    try:
        return context.session.work_tree.path_of(word)
    except ShoalError:
        return None


def _file(word: str, context: Context) -> AnnexedFile | None:
    return None if context.repository.is_bare else context.session.work_tree.lookup(word)

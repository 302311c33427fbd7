"""`shoal metadata`: get and change the metadata of annexed files."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from shoal.annex.files import UnknownPath
from shoal.annex.metadata import Modification, modify, values_of
from shoal.cli.arguments import Parser, add_json
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.cli.selection import Selection, add_batch, add_selection, parse_key, read_batch
from shoal.errors import ShoalError
from shoal.logs import metadata

if TYPE_CHECKING:
    from shoal.values.key import Key

_TAG = "tag"
_RECURSIVE = "Not recursively setting metadata. Use --force to do that."
_UNREADABLE = "Batch input parse failure"


def _field(text: str) -> str:
    """Read the name of a field. Raises argparse's error."""
    if not metadata.is_legal_field(text):
        raise argparse.ArgumentTypeError(f'Illegal metadata field name, "{text}"')
    return text


def _change(text: str) -> Modification:
    """Read FIELD=VALUE, FIELD+=VALUE, FIELD-=VALUE or FIELD?=VALUE."""
    name, _, word = text.partition("=")
    value = os.fsencode(word)
    if name.endswith("+"):
        return _adding(_field(name[:-1]), value)
    if name.endswith("-"):
        return _removing(_field(name[:-1]), value)
    if name.endswith("?"):
        return partial(metadata.setting_if_unset, name=_field(name[:-1]), value=value)
    return partial(metadata.setting, name=_field(name), values=(value,))


def _adding(name: str, value: bytes) -> Modification:
    return lambda _: metadata.adding(name, value)


def _removing(name: str, value: bytes) -> Modification:
    return lambda _: metadata.removing(name, value)


def _removing_field(text: str) -> Modification:
    return partial(metadata.removing_field, name=_field(text))


def add_arguments(parser: Parser) -> None:
    parser.add_argument("-g", "--get", metavar="FIELD", type=_field, help="get a single field")
    for names, metavar, kind, text in (
        (("-s", "--set"), "FIELD[+-]=VALUE", _change, "set or unset metadata value"),
        (("-t", "--tag"), "TAG", lambda tag: _adding(_TAG, os.fsencode(tag)), "set a tag"),
        (("-u", "--untag"), "TAG", lambda tag: _removing(_TAG, os.fsencode(tag)), "remove a tag"),
        (("-r", "--remove"), "FIELD", _removing_field, "remove all values of a field"),
    ):
        parser.add_argument(
            *names, metavar=metavar, type=kind, dest="changes", action="append", help=text
        )
    parser.add_argument(
        "--remove-all", dest="changes", action="append_const", const=metadata.removing_all,
        help="remove all metadata",
    )  # fmt: skip
    add_selection(parser, batch=False)
    add_batch(parser)
    add_json(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    changes: list[Modification] = args.changes or []
    if args.get is not None and changes:
        raise ShoalError("Cannot combine --get with options that change metadata")
    if args.batch:
        return _run_batch(args, context)
    if changes and not context.settings.force:
        _refuse_directories(args, context)
    for work in Selection(args, context).works():
        if work.candidate is None:
            continue
        if not context.limits.admit(work.candidate.key, context.repository):
            continue
        if args.get is None:
            _act(work.candidate.key, work.subject, work.given, changes, context)
        else:
            _show_field(work.candidate.key, args.get, context)
    return context.out.exit_code


def _refuse_directories(args: argparse.Namespace, context: Context) -> None:
    """Complain when a path that was given, or the lack of one, stands for several files."""
    if args.all or args.branch or args.unused or args.key or context.repository.is_bare:
        return
    tree = context.session.work_tree
    for path in args.paths:
        with suppress(UnknownPath):  # complained about later
            if len(tree.entries([tree.path_of(path)])) > 1:
                raise ShoalError(_RECURSIVE)
    if not args.paths:
        raise ShoalError(_RECURSIVE)


def _act(
    key: Key,
    subject: Subject,
    given: Sequence[str],
    changes: Sequence[Modification],
    context: Context,
) -> None:
    """Change the metadata of a key, and show what it is now."""
    repository = context.repository
    with context.out.item(subject, given=given) as item:
        if changes:
            modify(repository, key, changes)
        fields = {
            name: [os.fsdecode(value) for value in sorted(values)]
            for name, values in values_of(repository, key).items()
        }
        lines = [f"{name}={value}" for name, values in fields.items() for value in values]
        item.long_note("\n".join(lines), in_json="")
        item.field(fields=fields, note="".join(f"{line}\n" for line in lines))


def _show_field(key: Key, name: str, context: Context) -> None:
    for field, values in values_of(context.repository, key).items():
        if field.casefold() == name.casefold():
            for value in sorted(values):
                context.out.line(os.fsdecode(value))


def _run_batch(args: argparse.Namespace, context: Context) -> int:
    if not context.out.json:
        raise ShoalError("--batch is currently only supported in --json mode")
    if args.matching:
        raise ShoalError("combining --batch with file matching options is not currently supported")
    if args.paths or args.all or args.branch or args.unused or args.key:
        raise ShoalError("Cannot combine batch option with file or key options")
    for line in read_batch(args.z):
        request = _Request.parse(line)
        key, subject = request.key, Subject(key=request.key)
        if request.file is not None:
            file = context.session.work_tree.lookup(request.file)
            if file is None:
                context.out.blank()
                continue
            key, subject = file.key, Subject(file=file.shown, key=file.key)
        if key is not None:
            _act(key, subject, (line,), request.changes, context)
        context.out.flush()
    return context.out.exit_code


@dataclass(frozen=True, slots=True)
class _Request:
    """A line of a batch: of which `key` or `file`, and what to change."""

    key: Key | None
    file: str | None
    changes: Sequence[Modification]

    @classmethod
    def parse(cls, line: str) -> _Request:
        """Read a JSON object. Raises ShoalError when it is not one that makes sense."""
        try:
            found = json.loads(line)
        except ValueError as error:
            raise ShoalError(f"{_UNREADABLE}: {error}") from None
        if not isinstance(found, dict):
            raise ShoalError(f"{_UNREADABLE}: expected a JSON object")
        changes = [_of_json(name, values) for name, values in _fields_of(found).items()]
        if (text := found.get("key")) is not None:
            return cls(parse_key(str(text), f"{_UNREADABLE}: not a valid key"), None, changes)
        file = found.get("file")
        if not isinstance(file, str):
            raise ShoalError(f"{_UNREADABLE}: JSON input is missing either file or key")
        return cls(None, file, changes)


def _fields_of(found: Mapping[str, object]) -> Mapping[str, object]:
    fields = found.get("fields", {})
    if not isinstance(fields, dict):
        raise ShoalError(f"{_UNREADABLE}: fields must be an object")
    return fields


def _of_json(name: str, values: object) -> Modification:
    """Give what sets the values of a field; without any they are all removed."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ShoalError(f"{_UNREADABLE}: the values of {name} must be an array of strings")
    try:
        _field(name)
    except argparse.ArgumentTypeError as error:
        raise ShoalError(f"{_UNREADABLE}: {error}") from None
    if not values:
        return partial(metadata.removing_field, name=name)
    return partial(metadata.setting, name=name, values=[os.fsencode(value) for value in values])

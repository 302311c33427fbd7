"""`shoal whereis`: lists the repositories that have files' content."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.annex.jsonvalue import JSON
from shoal.annex.names import WEB
from shoal.cli.arguments import Parser, add_json
from shoal.cli.context import Context
from shoal.cli.format import Format
from shoal.cli.selection import Selection, Work, add_selection

if TYPE_CHECKING:
    from shoal.annex.matching import Candidate
    from shoal.annex.session import Places
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

_UNTRUSTED = "The following untrusted locations may also have copies:"


def add_arguments(parser: Parser) -> None:
    add_selection(parser)
    parser.add_argument("--format", metavar="FORMAT", help="control format of output")
    add_json(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    form = None if args.format is None else Format(args.format)
    selection = Selection(args, context)
    for work in selection.works():
        if work.candidate is None:
            context.out.blank()
            continue
        if not context.limits.admit(work.candidate.key, context.repository):
            continue
        found = _Found.of(work.candidate, context)
        if form is None:
            _show(work, found, context)
        elif not _show_formatted(work, found, form, context):
            context.out.failed += 1
        if selection.batch:
            context.out.flush()
    return context.out.exit_code


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a key is; `urls` are those of the web."""

    key: Key
    places: Places
    urls: tuple[str, ...]

    @classmethod
    def of(cls, candidate: Candidate, context: Context) -> _Found:
        places = context.session.places(candidate.key)
        on_web = WEB in places.counted
        urls = tuple(context.session.facts(candidate).urls()) if on_web else ()
        return cls(candidate.key, places, urls)

    @property
    def copies(self) -> tuple[UUID, ...]:
        """What is listed first: clusters, and repositories that count as copies."""
        return (*self.places.clusters, *self.places.counted)


def _show(work: Work, found: _Found, context: Context) -> None:
    names, count = context.session.names, len(found.places.counted)
    with context.out.item(work.subject, given=work.given) as item:
        note = "1 copy" if count == 1 else f"{count} copies"
        listed = names.lines(found.copies)
        if found.places.untrusted:
            listed += f"\n{_UNTRUSTED}\n{names.lines(found.places.untrusted)}"
        if found.urls:
            listed += "\n" + "".join(f"web: {url}\n" for url in found.urls)
        item.note(f"{note}\n{listed}" if context.out.json and listed else note)
        if listed:
            item.long_note(listed.removesuffix("\n"), in_json="")
        item.field(
            whereis=_entries(found.copies, found, context),
            untrusted=_entries(found.places.untrusted, found, context),
        )
        if not count:
            item.fail()


def _entries(uuids: Iterable[UUID], found: _Found, context: Context) -> list[JSON]:
    names, here = context.session.names, context.session.here
    return [
        {
            "description": names.in_json(uuid),
            "here": uuid == here,
            "urls": list(found.urls) if uuid == WEB else [],
            "uuid": uuid,
        }
        for uuid in uuids
    ]


def _show_formatted(work: Work, found: _Found, form: Format, context: Context) -> bool:
    """Show the format once for each place and url that it names; tell whether there are copies."""
    from shoal.annex.keyfields import key_fields

    values = {**key_fields(found.key), "file": work.subject.file or ""}
    places = (*found.copies, *found.places.untrusted)
    urls: tuple[str, ...] = found.urls if "url" in form.names else ("",)
    uuids: tuple[str, ...] = places if "uuid" in form.names else ("",) if places else ()
    for url in urls:
        for uuid in uuids:
            context.out.line(form.render({**values, "uuid": uuid, "url": url}), end="")
    return bool(found.places.counted)

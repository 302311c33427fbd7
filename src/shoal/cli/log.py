"""`shoal log`: when repositories got and lost content, and how large they were."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.cli.arguments import Parser, add_json, duration
from shoal.cli.context import Context
from shoal.cli.output import Subject
from shoal.cli.selection import Selection, add_selection
from shoal.errors import ShoalError
from shoal.values.humansize import rough_size

if TYPE_CHECKING:
    from shoal.annex.history import History
    from shoal.annex.jsonvalue import JSON
    from shoal.logs.history import Change
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

_UNMERGED = (
    "This repository is read-only, and there are unmerged git-annex branches, which prevents "
    "displaying location log changes. (Set annex.merge-annex-branches to false to ignore the "
    "unmerged git-annex branches.)"
)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class _PassOn(argparse.Action):
    """Adds an option and its value to those for git log."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.for_git = [*namespace.for_git, f"{self.option_strings[0]}={values}"]


def add_arguments(parser: Parser) -> None:
    flag = "store_true"
    parser.add_argument(
        "--sizesof", metavar="REPOSITORY", help="display history of sizes of this repository"
    )
    parser.add_argument("--sizes", action=flag, help="display history of sizes of all repositories")
    parser.add_argument(
        "--totalsizes", action=flag, help="display history of total sizes of all repositories"
    )
    parser.add_argument(
        "--interval", metavar="TIME", type=duration, default=1,
        help="minimum time between displays of changed size",
    )  # fmt: skip
    parser.add_argument(
        "--received", action=flag, help="display received data per interval, not sizes"
    )
    parser.add_argument("--gnuplot", action=flag, help="graph the history")
    parser.add_argument("--raw-date", action=flag, help="display seconds from unix epoch")
    parser.add_argument("--bytes", action=flag, help="display sizes in bytes")
    parser.add_argument("--gource", action=flag, help="format output for gource")
    parser.set_defaults(for_git=[])
    for name in ("since", "after", "until", "before"):
        parser.add_argument(
            f"--{name}", metavar="DATE", action=_PassOn, help=f"show log {name} date"
        )
    parser.add_argument(
        "--max-count", metavar="NUMBER", action=_PassOn, help="limit number of commits looked at"
    )
    add_selection(parser, batch=False)
    add_json(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.annex.history import History

    context.session.matcher(args.matching)  # its values must be right, whatever is shown
    if context.repository.branch.has_unmerged:
        raise ShoalError(_UNMERGED)
    context.commit()
    history = History(context.repository, args.for_git)
    if args.sizesof is not None or args.sizes or args.totalsizes:
        _show_sizes(args, history, context)
        return context.out.exit_code
    log = _log_of(args, context)
    if args.all and not (args.paths or args.branch or args.unused or args.key):
        for key, change in history.of_all_keys():
            log.show(_Item(key, Subject(key=key)), change)
        return context.out.exit_code
    for item, changes in history.of_keys(_items(args, context), lambda item: item.key):
        for change in changes:
            log.show(item, change)
    return context.out.exit_code


@dataclass(frozen=True, slots=True)
class _Item:
    """A key whose history is shown. `path` is where it is in the tree that was asked for."""

    key: Key
    subject: Subject
    given: tuple[str, ...] = ()
    path: str | None = None


def _items(args: argparse.Namespace, context: Context) -> Iterator[_Item]:
    for work in Selection(args, context).works():
        if work.candidate is not None:
            path = f"{args.branch}:{work.candidate.path}" if args.branch else work.subject.file
            yield _Item(work.candidate.key, work.subject, work.given, path)


# Changes of location logs


def _log_of(args: argparse.Namespace, context: Context) -> _TextLog | _Gource | _JsonLog:
    """Give what shows changes in the form that was asked for."""
    if context.out.json:
        return _JsonLog(context)
    if args.raw_date:
        return _TextLog(context, str)
    if args.gource:
        return _Gource(context)
    return _TextLog(context, _Zone().mail_date)


class _Named:
    """What repositories are called in a log."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._names = context.session.names
        self._known: dict[UUID, str] = {}

    def name(self, uuid: UUID) -> str:
        """Give a repository's description and name; its UUID when it has neither."""
        if uuid not in self._known:
            bare = "" if uuid == self._names.here else uuid
            self._known[uuid] = self._names.in_json(uuid) or bare
        return self._known[uuid]


class _TextLog(_Named):
    """`+ DATE FILE | UUID -- DESCRIPTION`."""

    def __init__(self, context: Context, date: Callable[[int], str]) -> None:
        super().__init__(context)
        self._date = date

    def show(self, item: _Item, change: Change) -> None:
        out = self.context.out
        about = f"{self._date(change.time)} {item.subject.shown(quote_high=out.quotes_high)}"
        for sign, uuids in (("+", change.added), ("-", change.removed)):
            for uuid in uuids:
                out.line(f"{sign} {about} | {uuid} -- {self.name(uuid)}")


class _Gource(_Named):
    """`TIME|DESCRIPTION|A|FILE`, with the file name as it is."""

    def show(self, item: _Item, change: Change) -> None:
        for sign, uuids in (("A", change.added), ("M", change.removed)):
            for uuid in uuids:
                name = self.name(uuid)
                self.context.out.line(f"{change.time}|{name}|{sign}|{item.path or item.key}")


class _JsonLog(_Named):
    """Two objects for each change: what was added, and what was removed."""

    def show(self, item: _Item, change: Change) -> None:
        for logged, uuids in (("addition", change.added), ("removal", change.removed)):
            with self.context.out.item(item.subject, given=item.given) as shown:
                locations = [self._location(uuid) for uuid in uuids]
                shown.field(logged=logged, date=str(change.time), locations=locations)

    def _location(self, uuid: UUID) -> JSON:
        names = self.context.session.names
        return {"description": names.in_json(uuid), "here": uuid == names.here, "uuid": uuid}


class _Zone:
    """The time zone that the user is in now; it is used for the past too."""

    def __init__(self) -> None:
        now = time.localtime()
        self._offset = now.tm_gmtoff
        self._name = now.tm_zone
        self._last = (-1, "")  # time, and how it is shown

    def mail_date(self, seconds: int) -> str:
        """Give a time as in mail: `Sun, 13 Sep 2020 12:26:40 UTC`."""
        if self._last[0] != seconds:
            at = time.gmtime(seconds + self._offset)
            date = f"{_DAYS[at.tm_wday]}, {at.tm_mday:2} {_MONTHS[at.tm_mon - 1]} {at.tm_year}"
            clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
            self._last = seconds, f"{date} {clock} {self._name}"
        return self._last[1]

    def iso_date(self, seconds: int) -> str:
        """Give a time as `2020-09-13T12:26:40`."""
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds + self._offset))


# Sizes


def _show_sizes(args: argparse.Namespace, history: History, context: Context) -> None:
    from shoal.logs.sizehistory import Columns, Rows, SizeHistory

    session = context.session
    descriptions = {session.here: "", **session.logs.descriptions()}
    uuids = tuple(sorted(descriptions))
    if args.sizesof is not None:
        uuids = (session.uuid_of(args.sizesof),)
    in_bytes = args.bytes or args.gnuplot
    rows = Rows(
        Columns(uuids, total=args.totalsizes),
        lambda sizes: ",".join(map(str if in_bytes else rough_size, sizes)),
        interval=args.interval,
        received=args.received,
    )
    header = [descriptions[uuid] for uuid in sorted(descriptions)] if args.sizes else []
    raw = args.raw_date and not args.gnuplot
    zone = _Zone()
    with _table(args, header, context) as write:
        for at, row in history.of_sizes(SizeHistory(received=args.received), rows):
            write(f"{at if raw else zone.iso_date(at)},{row}")
        if rows.last is not None:
            write(f"{_now() if raw else zone.iso_date(int(time.time()))},{rows.last}")


def _now() -> str:
    """Give the time in seconds since 1970, with its decimals."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return f"{seconds}.{nanoseconds:09}".rstrip("0").rstrip(".")


@contextmanager
def _table(
    args: argparse.Namespace, header: Sequence[str], context: Context
) -> Iterator[Callable[[str], None]]:
    """Give what takes the lines of the table: standard output, or a script for gnuplot."""
    first = ",".join(["date", *map(_quoted, header or ["value"])])
    if not args.gnuplot:
        if header:
            context.out.line(first)
        yield context.out.line
        return
    from shoal.annex.gnuplot import Script, run_gnuplot

    path = context.repository.annex_path("gnuplot")
    context.out.line(f"Generating gnuplot script in {os.path.relpath(path)}")
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        script = Script(first, titled=bool(header), columns=len(header) or 1, boxes=args.received)
        file.write(script.begin())
        yield lambda line: file.writelines((line, "\n"))
        file.write(script.end())
    context.out.line("Running gnuplot...")
    context.out.flush()
    run_gnuplot(path)


def _quoted(text: str) -> str:
    """Give a field of the table."""
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text

"""Everything that a command shows: text, --json, --json-error-messages, --quiet.

The forms are those of git-annex 10.20261026. Text of one item:

    get a.txt (from origin...)      start, then notes in parentheses
      a longer note                 indented; a blank line between two
    ok                              or `failed`

and in JSON one object with sorted keys. Progress is shown on a terminal only.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from shoal.annex.jsonvalue import JSON
from shoal.cli.format import quoted_path
from shoal.errors import ShoalError
from shoal.values.humansize import rough_size
from shoal.values.key import Key
from shoal.values.uuid import UUID

_PROGRESS_INTERVAL = 0.1  # seconds between two progress reports of an item
_METER_WIDTH = 30  # characters


@dataclass(frozen=True, slots=True)
class Subject:
    """What an item is about. `text` is shown, by default the file or else the key."""

    file: str | None = None
    key: Key | None = None
    uuid: UUID | None = None
    text: str | None = None

    def __str__(self) -> str:
        return self.shown()

    def shown(self, *, quote_high: bool = True) -> str:
        """Give what names the item, a file as git would quote it."""
        if self.text is not None:
            return self.text
        if self.file is not None:
            return quoted_path(self.file, quote_high=quote_high)
        return str(self.key or "")


class Output:
    """The output of one command."""

    program = "shoal"

    def __init__(
        self,
        command: str,
        *,
        json: bool = False,
        json_error_messages: bool = False,
        json_progress: bool = False,
        quiet: bool = False,
        jobs: int = 1,
    ) -> None:
        self.command = command
        self.json = json or json_error_messages or json_progress
        self.json_error_messages = json_error_messages
        self.json_progress = json_progress
        self.quiet = quiet
        self.concurrent = jobs > 1
        self.failed = 0  # items
        self.quotes_high = True  # core.quotePath
        self.lists = False  # whether other programs read a list of files from stdout
        self.has_meter = not self.json and not quiet and jobs == 1 and sys.stdout.isatty()
        self._meter = ""
        self._last_meter = float("-inf")

    @property
    def exit_code(self) -> int:
        """1 when an item failed."""
        return 1 if self.failed else 0

    def item(
        self,
        subject: Subject | None = None,
        *,
        given: Sequence[str] = (),
        command: str = "",
        hidden: bool = False,
    ) -> Item:
        """Begin an item: use it with `with`. `given` are the words of the command line
        that it comes from. A `hidden` one is shown as JSON only."""
        return Item(self, command or self.command, subject or Subject(), given, hidden)

    def line(self, text: str = "", end: str = "\n") -> None:
        """Show one line that is not part of an item."""
        self.write(text + end)

    def blank(self) -> None:
        """Answer a line of a batch for which there is nothing to show."""
        self.write("\n")
        self.flush()

    def record(self, fields: Mapping[str, JSON]) -> None:
        """Show one JSON object."""
        self.write(_json(fields) + "\n")

    def note(self, text: str) -> None:
        """Show a line in parentheses, such as `(recording state in git...)`."""
        if not self.json and not self.quiet:
            self.write(f"({text})\n")

    def meter(self, text: str) -> None:
        """Show on a terminal how far the command is; whatever is shown next takes its place."""
        now = time.monotonic()
        if not self.has_meter or now - self._last_meter < _PROGRESS_INTERVAL:
            return
        self._last_meter = now
        self.write(f"{text:<{_METER_WIDTH}}")
        self._meter = text
        self.flush()

    def explain(self, text: str) -> None:
        """Show why something is done: on stderr for a command whose output is a list."""
        if self.json or self.quiet:
            return
        if self.lists:
            self.say(f"[ {text} ]")
        else:
            self.write(f"[ {text} ]\n")

    def farewell(self, text: str) -> None:
        """Say why no more items will come."""
        if not (self.json or self.quiet or self.lists):
            self.blank()
        self.warning(text)

    def warning(self, text: str) -> None:
        """Show a warning that is not part of an item."""
        self.flush()
        _write_error(f"  {text}\n".replace("\n  \n", "\n"))

    def error(self, text: str) -> None:
        """Show an error that is not part of an item, and count it as a failed one."""
        self.failed += 1
        self.flush()
        _write_error(f"{text}\n")

    def complain(self, text: str) -> None:
        """Say on stderr what is wrong, in one sentence; the exit code is the caller's."""
        self.say(f"{self.program}: {text}")

    def say(self, text: str) -> None:
        """Put a line on stderr."""
        self.flush()
        _write_error(f"{text}\n")

    def finish(self) -> None:
        """Say how many items failed."""
        self.flush()
        if self.failed:
            _write_error(f"{self.command}: {self.failed} failed\n")
            self.flush()

    def write(self, text: str) -> None:
        """Put text on standard output, any bytes in file names included."""
        if self._meter:
            text = f"\r{'':<{max(_METER_WIDTH, len(self._meter))}}\r{text}"
            self._meter = ""
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))

    def flush(self) -> None:
        """Bring everything on its way, so that stdout and stderr are in order."""
        sys.stdout.flush()
        sys.stdout.buffer.flush()


class Item:
    """One thing that a command does: a key, a file, a setting."""

    def __init__(
        self,
        out: Output,
        command: str,
        subject: Subject,
        given: Sequence[str],
        hidden: bool = False,
    ) -> None:
        self._out = out
        self._command = command
        self._subject = subject
        self._given = list(given)
        self._failed = False
        self._notes: list[str] = []
        self._errors: list[str] = []
        self._fields: dict[str, JSON] = {}
        self._text: list[str] = []  # of a concurrent item, until its end
        self._line_open = False
        self._meter = ""
        self._last_progress = float("-inf")
        self._shown = not (out.json or out.quiet or hidden)

    def __enter__(self) -> Self:
        subject = self._subject.shown(quote_high=self._out.quotes_high)
        self._put(f"{self._command} {subject} ", open_line=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        text = None if isinstance(error, BrokenPipeError) else sentence_of(error)
        if text is not None:
            self.error(f"{self._out.program}: {text}")
            self._failed = True
        if error is None or text is not None:
            self._end()
        return text is not None

    def note(self, text: str) -> None:
        """Add `(text)` to the first line."""
        self._notes.append(text)
        self._put(f"({text}) ", open_line=True)

    def long_note(self, text: str, *, in_json: str | None = None) -> None:
        """Add indented lines. `in_json` is what the JSON note gets instead ("" for nothing)."""
        note = text if in_json is None else in_json
        if note:
            self._notes.append(note)
        lines = "".join(f"  {line}\n" if line else "\n" for line in text.split("\n"))
        self._put(f"\n{lines}")

    def field(self, **fields: JSON) -> None:
        """Add fields to the JSON object."""
        self._fields.update(fields)

    def error(self, text: str) -> None:
        """Show an error. The item goes on; see fail()."""
        self._errors.append(text)
        if self._line_open:
            self._put("\n")
        if not self._out.json_error_messages:
            if not self._out.concurrent:
                self._out.flush()
            _write_error(f"{text}\n")

    def warning(self, text: str) -> None:
        """Show an indented warning on stderr."""
        self.error(f"  {text}")

    def fail(self) -> None:
        """Let the item end with `failed`."""
        self._failed = True

    def progress(self, done: int, total: int | None) -> None:
        """Show how many bytes of the key are there."""
        if self._out.json_progress:
            now = time.monotonic()
            if now - self._last_progress >= _PROGRESS_INTERVAL or done == total:
                self._last_progress = now
                self._out.record(self._progress_record(done, total))
                self._out.flush()
        elif self._shown and self._out.has_meter and not self._out.concurrent:
            self._show_meter(done, total)

    def _show_meter(self, done: int, total: int | None) -> None:
        """Show how far it is on a line of its own, which the end of the item overwrites."""
        now = time.monotonic()
        if now - self._last_progress < _PROGRESS_INTERVAL:
            return
        self._last_progress = now
        if self._line_open:
            self._put("\n")
        share = f"{_percent(done, total)}%  " if total else ""
        self._meter = f"{share}{rough_size(done)}"
        self._out.write(f"\r{self._meter:<{_METER_WIDTH}}")
        self._out.flush()

    def _progress_record(self, done: int, total: int | None) -> dict[str, JSON]:
        action = {
            name: value
            for name, value in self._record().items()
            if name not in {"success", "error-messages"}
        }
        report: dict[str, JSON] = {"action": action, "byte-progress": done}
        if total:
            report["percent-progress"] = f"{_percent(done, total)}%"
            report["total-size"] = total
        return report

    def _record(self) -> dict[str, JSON]:
        record: dict[str, JSON] = {"command": self._command, "input": self._given}
        subject = self._subject
        if subject.file is not None:
            record["file"] = subject.file
        if subject.key is not None:
            record["key"] = str(subject.key)
        if subject.uuid is not None:
            record["uuid"] = subject.uuid
        if self._notes:
            record["note"] = "\n".join(self._notes)
        errors = [error.strip() for error in self._errors] if self._out.json_error_messages else []
        return {**record, "error-messages": errors, "success": not self._failed, **self._fields}

    def _end(self) -> None:
        if self._failed:
            self._out.failed += 1
        if self._out.json:
            self._out.record(self._record())
        self._put("failed\n" if self._failed else "ok\n")
        if self._text:
            self._out.write("".join(self._text))
        self._out.flush()

    def _put(self, text: str, *, open_line: bool = False) -> None:
        if not self._shown:
            return
        if self._meter:
            self._out.write(f"\r{'':<{_METER_WIDTH}}\r")
            self._meter = ""
        if self._out.concurrent:
            self._text.append(text)
        else:
            self._out.write(text)
        self._line_open = open_line


def sentence_of(error: BaseException | None) -> str | None:
    """Give what a user is to hear of an error; None for one that is a bug, or no error."""
    if isinstance(error, ShoalError):
        return str(error)
    if isinstance(error, OSError):
        where = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
        return f"{where}{error.strerror or error}"
    return None


def _percent(done: int, total: int) -> str:
    return f"{100 * done / total:.2f}".rstrip("0").rstrip(".")


def _json(value: JSON) -> str:
    from json import dumps

    text = dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    # Bytes that are not UTF-8 have no place in JSON.
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _write_error(text: str) -> None:
    sys.stderr.flush()
    sys.stderr.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stderr.buffer.flush()

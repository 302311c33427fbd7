"""The metadata log of a key (`.log.met`): fields with sets of values.

    CLOCK SP FIELD SP +VALUE SP -VALUE … SP FIELD SP +VALUE …

`+` sets a value, `-` unsets it. A value with a space, CR, LF or a leading `!` is written as
`!` and base64. Fields compare without regard to case; the newest spelling is the one shown.
The log is a set of lines, all of which count: a later one overrides what it mentions.
Source: log-write vectors of git-annex 10.20261026.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shoal.logs.entries import split_lines
from shoal.values.base64text import decode_base64, encode_base64
from shoal.values.clock import SECOND, Clock, next_clock, parse_clock, render_clock
from shoal.values.key import Key
from shoal.values.keypath import log_path
from shoal.values.number import write_int

SUFFIX = ".log.met"
LAST_CHANGED = "lastchanged"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What is said of one field: its spelling, and for each value whether it is set."""

    name: str
    values: Mapping[bytes, bool]


@dataclass(frozen=True, slots=True)
class Changes:
    """What one line says: field changes by the field's name without regard to case."""

    fields: Mapping[str, FieldChange] = field(default_factory=dict)

    def overridden_by(self, newer: Changes) -> Changes:
        """Give what both say, `newer` deciding where both mention a value."""
        fields = dict(self.fields)
        for folded, change_ in newer.fields.items():
            older = fields.get(folded)
            values = {**(older.values if older else {}), **change_.values}
            fields[folded] = FieldChange(change_.name, values)
        return Changes(fields)

    def without(self, newer: Changes) -> Changes:
        """Give what is left of this when what `newer` mentions is taken away."""
        fields = {}
        for folded, change_ in self.fields.items():
            other = newer.fields.get(folded)
            values = {
                value: is_set
                for value, is_set in change_.values.items()
                if other is None or value not in other.values
            }
            if values or other is None:
                fields[folded] = FieldChange(change_.name, values)
        return Changes(fields)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log."""

    clock: Clock
    changes: Changes


def path(key: Key, levels: int = 2) -> str:
    """Give the path of the key's metadata log."""
    return log_path(key, SUFFIX, levels)


def is_legal_field(name: str) -> bool:
    """Tell whether a field may be named so: alphanumerics and `_-.`, an alphanumeric first."""
    return name[:1].isalnum() and all(c.isalnum() or c in "_-." for c in name)


def changing(name: str, values: Mapping[bytes, bool]) -> Changes:
    """Give the change of one field. Combine several with `overridden_by`.

    Raises ValueError when no field may be named so.
    """
    if not is_legal_field(name):
        raise ValueError(f'Illegal metadata field name, "{name}"')
    return _changing(name, values)


def _changing(name: str, values: Mapping[bytes, bool]) -> Changes:
    return Changes({name.casefold(): FieldChange(name, dict(values))})


# Reading


def parse(log: bytes) -> list[Line]:
    """Give the lines, oldest first. Those that mention the same at the same time are one."""
    found: dict[tuple[object, ...], Line] = {}
    for text in split_lines(log):
        clock, space, rest = text.partition(b" ")
        if not space:
            continue
        try:
            line = Line(parse_clock(clock), _read(rest))
        except ValueError:
            continue
        found[_order(line)] = line
    return sorted(found.values(), key=_order)


def _order(line: Line) -> tuple[Clock, tuple[tuple[str, tuple[bytes, ...]], ...]]:
    """By clock, then by what is mentioned, whether it is set or unset."""
    fields = line.changes.fields
    mentioned = tuple((name, tuple(sorted(fields[name].values))) for name in sorted(fields))
    return line.clock, mentioned


def _read(text: bytes) -> Changes:
    """Read the words; what stands where no field can be ends the line."""
    fields: dict[str, FieldChange] = {}
    name: str | None = None
    for word in text.split(b" "):
        value = _read_value(word)
        if value is None or name is None:
            try:
                name = word.decode("utf-8")
            except UnicodeDecodeError:
                break
            continue
        folded = name.casefold()
        older = fields.get(folded)
        fields[folded] = FieldChange(name, {**(older.values if older else {}), **dict([value])})
    return Changes(fields)


def _read_value(word: bytes) -> tuple[bytes, bool] | None:
    sign, value = word[:1], word[1:]
    if sign not in {b"+", b"-"} or not sign:
        return None
    if value.startswith(b"!"):
        try:
            value = decode_base64(value[1:])
        except ValueError:
            return None
    return value, sign == b"+"


def current(log: bytes) -> dict[str, frozenset[bytes]]:
    """Give the values that are set now, by field as it is spelled."""
    return _currently_set(_combine(parse(log)))


def current_with_times(log: bytes) -> dict[str, frozenset[bytes]]:
    """Give `current` and, as git-annex shows them, when each field and anything last changed.

    The fields `NAME-lastchanged` and `lastchanged` are made up here and never stored. (If
    another program did store such fields, they show both values.)
    """
    lines = parse(log)
    if not lines:
        return {}
    combined = _combine(lines)
    set_now = {name.casefold() for name in _currently_set(combined)}
    shown = Changes()
    for line in lines:
        stamp = {_stamp(line.clock): True}
        for folded in set_now & line.changes.fields.keys():
            name = f"{line.changes.fields[folded].name}-{LAST_CHANGED}"
            shown = Changes({**shown.fields, name.casefold(): FieldChange(name, stamp)})
    newest = _changing(LAST_CHANGED, {_stamp(lines[-1].clock): True})
    return _currently_set(combined.overridden_by(shown).overridden_by(newest))


def _combine(lines: Iterable[Line]) -> Changes:
    combined = Changes()
    for line in lines:
        combined = combined.overridden_by(line.changes)
    return combined


def _currently_set(changes: Changes) -> dict[str, frozenset[bytes]]:
    found = {}
    for folded in sorted(changes.fields):
        change_ = changes.fields[folded]
        values = frozenset(value for value, is_set in change_.values.items() if is_set)
        if values:
            found[change_.name] = values
    return found


def _stamp(clock: Clock) -> bytes:
    """Give the UTC time as `YYYY-MM-DD@hh-mm-ss`, for any year."""
    days, seconds = divmod(clock // SECOND, 86_400)
    year, month, day = _date(days)
    hour, minute, second = seconds // 3600, seconds // 60 % 60, seconds % 60
    shown_year = write_int(year).rjust(4, b"0")
    return b"%s-%02d-%02d@%02d-%02d-%02d" % (shown_year, month, day, hour, minute, second)


def _date(days: int) -> tuple[int, int, int]:
    """Give year, month and day of a day counted from 1970-01-01 (Gregorian, no limits).

    Years are counted from March, so that the leap day is the last day of one.
    """
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year_of_era + 400 * era + (month <= 2), month, day


# Writing


def render(lines: Iterable[Line]) -> bytes:
    """Give the log with just these lines, in this order."""
    return b"".join(b"%s %s\n" % (render_clock(line.clock), _write(line.changes)) for line in lines)


def _write(changes: Changes) -> bytes:
    words = []
    for folded in sorted(changes.fields):
        change_ = changes.fields[folded]
        words.append(change_.name.encode("utf-8"))
        words += [
            (b"+" if change_.values[value] else b"-") + _write_value(value)
            for value in sorted(change_.values)
        ]
    return b" ".join(words)


def _write_value(value: bytes) -> bytes:
    if value.startswith(b"!") or set(value) & set(b" \r\n"):
        return b"!" + encode_base64(value)
    return value


def change(log: bytes, changes: Changes, now: Clock) -> bytes | None:
    """Give the log after a change; None when there is nothing to change.

    Fields made up by `current_with_times` are not stored.
    """
    if not changes.fields:
        return None
    stored = {name: said for name, said in changes.fields.items() if not _is_made_up(name)}
    lines = parse(log)
    newest = max((line.clock for line in lines), default=None)
    lines.append(Line(next_clock(now, newest), Changes(stored)))
    return render(simplify(lines))


def _is_made_up(folded: str) -> bool:
    return folded == LAST_CHANGED or folded.endswith(f"-{LAST_CHANGED}")


def simplify(lines: list[Line]) -> list[Line]:
    """Leave out what newer lines override, if that makes the log shorter by a line at least.

    `lines` are in ascending order. A line keeps its own clock, so that a line from elsewhere
    between two of these still counts for what it should.
    """
    if not lines:
        return lines
    kept = [lines[-1]]
    newer = lines[-1].changes
    for line in reversed(lines[:-1]):
        unique = line.changes.without(newer)
        if unique.fields:
            kept.append(Line(line.clock, unique))
            newer = unique.overridden_by(newer)
    return kept[::-1] if len(kept) < len(lines) else lines


# What users ask for; each gives the change that does it


def adding(name: str, value: bytes) -> Changes:
    """Set one more value of a field."""
    return changing(name, {value: True})


def removing(name: str, value: bytes) -> Changes:
    """Unset one value of a field."""
    return changing(name, {value: False})


def setting(now_set: Mapping[str, Iterable[bytes]], name: str, values: Iterable[bytes]) -> Changes:
    """Set the values of a field, and unset all others that are `now_set`."""
    unset = dict.fromkeys(_values_of(now_set, name), False)
    return changing(name, {**unset, **dict.fromkeys(values, True)})


def setting_if_unset(now_set: Mapping[str, Iterable[bytes]], name: str, value: bytes) -> Changes:
    """Set a value if the field has none."""
    return Changes() if _values_of(now_set, name) else adding(name, value)


def removing_field(now_set: Mapping[str, Iterable[bytes]], name: str) -> Changes:
    """Unset all values of a field."""
    return changing(name, dict.fromkeys(_values_of(now_set, name), False))


def removing_all(now_set: Mapping[str, Iterable[bytes]]) -> Changes:
    """Unset everything."""
    everything = Changes()
    for name, values in now_set.items():
        everything = everything.overridden_by(_changing(name, dict.fromkeys(values, False)))
    return everything


def _values_of(now_set: Mapping[str, Iterable[bytes]], name: str) -> list[bytes]:
    folded = name.casefold()
    return [value for other in now_set if other.casefold() == folded for value in now_set[other]]

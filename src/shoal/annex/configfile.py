"""The configuration of the git-annex branch as one text for people to edit, and back.

The form is that of git-annex 10.20261026's vicfg:

    # (for laptop)
    wanted 66666666-6666-4666-8666-666666666666 = include=*.jpg

What is not set stands there behind a `#`. To delete a line takes the setting back; but maximum
sizes and numbers of copies stay as they are, as in the real program.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from shoal.errors import ExpressionError
from shoal.logs.schedule import canonical_activities
from shoal.logs.trust import TrustLevel
from shoal.preferred.parse import parse
from shoal.preferred.standard_groups import STANDARD_GROUPS
from shoal.values.humansize import exact_size
from shoal.values.number import read_int
from shoal.values.size import parse_size
from shoal.values.uuid import UUID

_HEAD = """git-annex configuration

Changes saved to this file will be recorded in the git-annex branch.

Lines in this file have the format:
  setting field = value"""
_PROBLEM = """\
# ** There was a problem parsing your input!
# ** Search for "Parse error" to find the bad lines.
# ** Either fix the bad lines, or delete them (to discard your changes).
"""
_MARK = "# ** Parse error in next line: "
_LEVELS = (TrustLevel.TRUSTED, TrustLevel.SEMITRUSTED, TrustLevel.UNTRUSTED, TrustLevel.DEAD)
_ORDER = {level.name.lower(): number for number, level in enumerate(_LEVELS)}
_LINE = re.compile(r"\s*(\S+)\s*([^=]*?)\s*(?:=\s*(.*))?", re.DOTALL)
_COPIES = ("numcopies", "mincopies")

Values = dict[tuple[str, str], str]
"""(setting, field) to value, as texts: the fields are UUIDs, groups, or names."""


@dataclass(frozen=True, slots=True)
class Section:
    """Settings of one kind. `default` is what stands behind the `#` where nothing is set, and
    what deleting a line goes back to when `resets`."""

    setting: str
    head: str
    default: str = ""
    resets: bool = True
    order: Callable[[str], object] = str


SECTIONS = (
    Section(
        "trust",
        "Repository trust configuration\n(Valid trust levels: trusted semitrusted untrusted dead)",
        default="semitrusted",
        order=lambda value: _ORDER[value],
    ),
    Section(
        "group",
        f"Repository groups\n(Standard groups: {' '.join(STANDARD_GROUPS)})\n"
        "(Separate group names with spaces)",
        order=str.split,
    ),
    Section(
        "wanted",
        "Repository preferred contents\n"
        """(Set to "standard" to use a repository's group's preferred contents)""",
    ),
    Section(
        "groupwanted",
        "Group preferred contents\n"
        '(Used by repositories with "groupwanted" in their preferred contents)',
    ),
    Section("required", "Repository required contents"),
    Section("maxsize", "Maximum repository sizes", resets=False, order=parse_size),
    Section("schedule", 'Scheduled activities\n(Separate multiple activities with "; ")'),
)
_BY_NAME = {section.setting: section for section in SECTIONS}


def show_size(size: int) -> str:
    """Give a maximum size as it stands in the text, such as `10.0 gigabytes`."""
    return exact_size(size, long=True)


def render(values: Values, names: Mapping[UUID, str], groups: Collection[str]) -> str:
    """Give the whole text. `names` are how the known repositories are shown, and `groups` are
    those that have members."""
    parts = [_comment(_HEAD).removeprefix("\n")]
    for section in SECTIONS:
        fields = {*STANDARD_GROUPS, *groups} if section.setting == "groupwanted" else {*names}
        parts.append(_comment(section.head))
        parts += _entries(section, values, fields, names)
        if section.setting == "groupwanted":
            parts.append(_standard())
    parts.append(_comment("Numcopies configuration"))
    for name in _COPIES:
        value = values.get((name, "default"))
        parts.append(f"# {name} default =\n" if value is None else f"{name} default = {value}\n")
    parts.append(_comment("Other global configuration"))
    for (setting, name), value in sorted(values.items()):
        if setting == "config":
            parts.append(f"config {name} = {value}\n")
    return "".join(parts)


def _comment(text: str) -> str:
    return "\n" + "".join(f"# {line}\n" for line in text.split("\n"))


def _entries(
    section: Section, values: Values, fields: Collection[str], names: Mapping[UUID, str]
) -> Iterator[str]:
    setting = section.setting
    found = {field: value for (one, field), value in values.items() if one == setting}

    def line(field: str, value: str, mark: str = "") -> str:
        whose = "" if setting == "groupwanted" else f"# (for {names.get(UUID(field), '')})\n"
        return f"{whose}{mark}{setting} {field} = {value}\n"

    for field, value in sorted(found.items(), key=lambda item: (section.order(item[1]), item[0])):
        yield line(field, value)
    for field in sorted(set(fields) - found.keys()):
        yield line(field, section.default, "#")


def _standard() -> str:
    text = _comment(
        "Standard preferred contents\n(Used by wanted or groupwanted expressions containing "
        '"standard")\n(For reference only; built-in and cannot be changed!)'
    )
    return text + "".join(f"# standard {name} = {e}\n" for name, e in STANDARD_GROUPS.items())


class Edited:
    """What an edited text says. `marked` is None when all of it can be read, else the text to
    edit again, with what is wrong above each bad line. What is as it was `before` is not looked
    at: a newer version may have written it."""

    def __init__(self, text: str, before: Values) -> None:
        self._before = before
        self.values: Values = {}
        lines: list[str] = []
        bad = False
        for line in text.split("\n"):
            if line.startswith("# ** "):
                continue  # what we said about an earlier text
            try:
                self._read(line)
            except (ValueError, ExpressionError) as error:
                bad = True
                lines.append(f"{_MARK}{error}")
            lines.append(line)
        self.marked = _PROBLEM + "\n".join(lines) if bad else None

    def _read(self, line: str) -> None:
        if not line.strip() or line.lstrip().startswith("#"):
            return
        found = _LINE.fullmatch(line)
        assert found is not None  # any line that is not blank has a first word
        setting, field, value = found.groups(default="")
        if "=" in setting or not field:
            raise ValueError("missing field")
        if self._before.get((setting, field)) != value:
            value = _checked(setting, field, value)
        self.values[setting, field] = value

    def changes(self) -> Values:
        """Give what is to be set so that what was before becomes what the text says."""
        before = self._before
        changed = {at: value for at, value in self.values.items() if before.get(at) != value}
        for setting, field in before.keys() - self.values.keys():
            section = _BY_NAME.get(setting)
            if setting == "config" or (section is not None and section.resets):
                default = section.default if section is not None else ""
                if before[setting, field] != default:
                    changed[setting, field] = default
        return changed


def _checked(setting: str, field: str, value: str) -> str:
    """Give a value in the form in which render() shows it. Raises ValueError, ExpressionError."""
    if setting not in (*_BY_NAME, *_COPIES, "config"):
        raise ValueError(f'unknown setting "{setting}"')
    if len(field.split()) > 1:
        raise ValueError(f'"{field}" is more than one word')
    if setting == "trust" and value not in _ORDER:
        raise ValueError(f'unknown trust value "{value}"')
    if setting == "group":
        return " ".join(sorted(set(value.split()), key=os.fsencode))
    if setting in ("wanted", "required", "groupwanted"):
        parse(value)
    elif setting == "schedule":
        return canonical_activities(value)
    elif setting == "maxsize":
        return _size(value)
    elif setting in _COPIES:
        return _copies(value)
    return value


def _size(value: str) -> str:
    try:
        parse_size(value)
    except ValueError:
        raise ValueError('parse error (expected a size such as "100 gb")') from None
    return value


def _copies(value: str) -> str:
    try:
        return str(max(1, read_int(value)))
    except ValueError:
        raise ValueError("parse error (expected an integer)") from None

"""The text of vicfg and back. That it is the real program's, to the byte, is tested in
tests/interop/side_by_side/vicfg.txt."""

from __future__ import annotations

import pytest

from shoal.annex.configfile import Edited, Values, render
from shoal.values.uuid import UUID

A, B = (UUID(f"{letter * 8}-0000-4000-8000-000000000000") for letter in "ab")
BEFORE: Values = {
    ("trust", A): "trusted", ("group", A): "pool", ("wanted", A): "include=a",
    ("maxsize", A): "10.0 gigabytes", ("groupwanted", "pool"): "anything",
    ("schedule", B): "fsck self 30m every day at any time", ("numcopies", "default"): "2",
    ("config", "annex.autocommit"): "false",
}  # fmt: skip
TEXT = render(BEFORE, {A: "repo a", B: "repo b"}, ["pool"])


def test_what_is_not_changed_changes_nothing() -> None:
    edited = Edited(TEXT, BEFORE)
    assert edited.marked is None
    assert edited.values == BEFORE
    assert edited.changes() == {}


def test_what_is_not_set_is_shown_behind_a_comment_sign() -> None:
    assert f"# (for repo b)\n#trust {B} = semitrusted\n" in TEXT
    assert f"# (for repo a)\nwanted {A} = include=a\n# (for repo b)\n#wanted {B} = \n" in TEXT
    assert "\n#groupwanted client = \n" in TEXT
    assert "\n# mincopies default =\n" in TEXT


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        (f"#wanted {B} = ", f"wanted {B} = copies=2", {("wanted", B): "copies=2"}),
        (f"group {A} = pool", f"  group  {A} =  b a  b ", {("group", A): "a b"}),
        (f"trust {A} = trusted\n", "", {("trust", A): "semitrusted"}),
        (f"wanted {A} = include=a\n", "", {("wanted", A): ""}),
        ("config annex.autocommit = false\n", "", {("config", "annex.autocommit"): ""}),
        (f"maxsize {A} = 10.0 gigabytes\n", "", {}),
        ("numcopies default = 2\n", "", {}),
        ("numcopies default = 2", "numcopies default = 0", {("numcopies", "default"): "1"}),
        (f"maxsize {A} = 10.0 gigabytes", f"maxsize {A} = 5kb", {("maxsize", A): "5kb"}),
    ],
)
def test_changes(old: str, new: str, changes: Values) -> None:
    assert old in TEXT
    assert Edited(TEXT.replace(old, new), BEFORE).changes() == changes


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trust x = bogus", 'unknown trust value "bogus"'),
        ("wanted x = bogus", 'Parse failure: near "bogus"'),
        ("maxsize x =", 'parse error (expected a size such as "100 gb")'),
        ("numcopies default = x", "parse error (expected an integer)"),
        ("schedule x = bogus", 'unknown activity in "bogus"'),
        ("standard client = x", 'unknown setting "standard"'),
        ("wanted=x", "missing field"),
        ("wanted", "missing field"),
        (f"wanted {A} more = present", f'"{A} more" is more than one word'),
    ],
)
def test_bad_lines_are_marked_until_they_are_gone(line: str, message: str) -> None:
    first = Edited(TEXT + line + "\n", BEFORE)
    assert first.marked is not None
    assert f"# ** Parse error in next line: {message}\n{line}\n" in first.marked
    again = Edited(first.marked, BEFORE)
    assert again.marked == first.marked
    assert Edited(first.marked.replace(f"\n{line}\n", "\n"), BEFORE).changes() == {}


def test_what_a_newer_version_wrote_can_stay() -> None:
    before: Values = {("wanted", A): "newer=term"}
    text = render(before, {A: "a"}, [])
    assert Edited(text, before).marked is None
    assert Edited(text.replace("newer=term", "newest=term"), before).marked is not None

"""Formats read as the real program's; every case was run with git-annex 10.20261026."""

from __future__ import annotations

import os

import pytest

from shoal.cli.format import Format, escape, quoted_path

VALUES = {"file": "f2", "bytesize": "3", "key": "K"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${file} ${key}|\\n", "f2 K|\n"),
        ("$foo \\t ${file", "$foo \t ${file"),
        ("${file;20}|${file;-20}|", " " * 18 + "f2|f2" + " " * 18 + "|"),
        ("\\\\n $ x ${} \\x41 \\101 \\e\\n", "\\n $ x  A A e\n"),
        ("${error-messages} ${unknownvar}|", "${error-messages} |"),
        ("${escaped_key}", "K"),
        ("x", "x"),
        ("\\0 \\1 \\12 \\x4 \\xZZ \\400", "0 1 12 x4 xZZ \u0100"),
        ("${file;x}${file;}${file;-}${file;--5}${file;+5}${file;1.5}", "f2" * 6),
        ("${file; 5}|${file;5;6}|${file;0x9}|${file;5 }", "   f2|   f2|       f2|   f2"),
        ("${fi le} ${é} $${file} ${;3}|", "${fi le}  $f2    |"),
        ("${${file}} ${fi${file}", "${${file}} ${fi${file}"),
    ],
)
def test_formats(text: str, result: str) -> None:
    assert Format(text).render(VALUES) == result


def test_names_say_which_values_are_wanted() -> None:
    assert Format("${file} ${escaped_url;3} $x").names == {"file", "url"}


def test_a_width_without_end_has_one() -> None:
    assert len(Format("${file;99999999999999999999}").render(VALUES)) == 1_000_000


def test_a_value_is_not_read_as_a_format() -> None:
    assert Format("${file}").render({"file": "${key}\\n"}) == "${key}\\n"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a.txt", "a.txt"),
        ('a<b>é"&.txt', 'a<b>\\303\\251\\"&.txt'),
        (os.fsdecode(b"bad\xff"), "bad\\377"),
        ("sp ace", "sp\\040ace"),
        ("tab\tnl\nbs\\", "tab\\tnl\\nbs\\\\"),
    ],
)
def test_escapes(text: str, escaped: str) -> None:
    assert escape(text) == escaped


@pytest.mark.parametrize(
    ("path", "quoted", "without_high"),
    [
        ("a b.txt", "a b.txt", "a b.txt"),
        ("é", '"\\303\\251"', "é"),
        ('a"b', '"a\\"b"', '"a\\"b"'),
        ("a\\b\t\x01\x7f", '"a\\\\b\\t\\001\\177"', '"a\\\\b\\t\\001\\177"'),
        (os.fsdecode(b"bad\xff"), '"bad\\377"', os.fsdecode(b"bad\xff")),
        ("é\n", '"\\303\\251\\n"', '"é\\n"'),
    ],
)
def test_paths_are_quoted_as_by_git(path: str, quoted: str, without_high: str) -> None:
    assert quoted_path(path) == quoted
    assert quoted_path(path, quote_high=False) == without_high

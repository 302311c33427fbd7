"""Arguments are read by the real program's rules, not by argparse's."""

from __future__ import annotations

import argparse

import pytest

from shoal.cli.arguments import HelpShown, Parser, add_json, jobs, key, number
from shoal.errors import UsageError


def parser() -> Parser:
    made = Parser("get", "get content")
    made.add_argument("paths", metavar="PATH", nargs="*")
    made.add_argument("-f", "--from", dest="source", metavar="REMOTE")
    made.add_argument("-J", "--jobs", type=jobs)
    made.add_argument("--pair", nargs=2)
    made.add_argument("--key", type=key)
    add_json(made, progress=True)
    return made


def read(*words: str) -> argparse.Namespace:
    return parser().parse(words)


def refusal(*words: str) -> str:
    with pytest.raises(UsageError) as error:
        read(*words)
    return str(error.value).split("\n")[0]


def test_options_and_words_may_be_mixed() -> None:
    args = read("a", "--from", "r", "b", "--json", "c", "-J8")
    assert (args.paths, args.source, args.json, args.jobs) == (["a", "b", "c"], "r", True, 8)


def test_two_dashes_end_the_options() -> None:
    assert read("a", "--", "--json", "-x", "--").paths == ["a", "--json", "-x", "--"]


def test_a_value_may_look_like_an_option() -> None:
    assert read("--from", "--json").source == "--json"
    assert read("--from=-x").source == "-x"
    assert read("-f", "-x").source == "-x"


def test_short_options_may_stand_together() -> None:
    args = read("-Fqfr", "a")
    assert (args.fast, args.quiet, args.source, args.paths) == (True, True, "r", ["a"])
    assert read("-Fqf", "r").source == "r"


def test_an_option_may_take_two_words() -> None:
    assert read("x", "--pair", "a", "b", "c").pair == ["a", "b"]


def test_a_single_dash_is_a_word() -> None:
    assert read("-").paths == ["-"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nosuch"], "Invalid option `--nosuch'"),
        (["--nosuch=x"], "Invalid option `--nosuch=x'"),
        (["--js"], "Invalid option `--js'"),
        (["-5"], "Invalid option `-5'"),
        (["--from"], "The option `--from` expects an argument."),
        (["--pair", "a"], "The option `--pair` expects an argument."),
        (["--key", "foo"], "option --key: invalid key"),
        (["--numcopies", "x"], "option --numcopies: cannot parse value `x'"),
        (["-J", "0x3"], "option -J: cannot parse value `0x3'"),
    ],
)
def test_what_is_not_known_is_refused(words: list[str], message: str) -> None:
    assert refusal(*words) == message


def test_a_missing_word_is_named() -> None:
    made = Parser("x", "y")
    made.add_argument("key", metavar="KEY")
    with pytest.raises(UsageError, match=r"^Missing: KEY"):
        made.parse([])


def test_a_word_too_many_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^Invalid argument `a'\n\nUsage: shoal version$"):
        Parser("version", "").parse(["a"])


def test_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HelpShown):
        read("a", "--help")
    assert "Usage" in capsys.readouterr().out
    assert read("--", "--help").paths == ["--help"]


def test_a_value_may_begin_with_anything() -> None:
    made = Parser("x", "y")
    made.add_argument("-s", "--set")
    for words in (["-s", "=1"], ["-s=1"], ["--set", "=1"], ["--set==1"]):
        assert made.parse(words).set == "=1"
    assert made.parse(["-s", "-a=b"]).set == "-a=b"


def test_jobs() -> None:
    assert jobs("3") == 3
    assert jobs("0") == 1
    assert jobs("cpus") >= 1


def test_numbers_are_plain() -> None:
    assert number("12") == 12
    for text in ("-1", "+1", "1_0", "", "٣"):
        with pytest.raises(argparse.ArgumentTypeError):
            number(text)

"""Output has the forms of git-annex 10.20261026, as text and as JSON."""

from __future__ import annotations

import json
import os

import pytest

from shoal.cli.output import Output, Subject
from shoal.errors import ShoalError
from shoal.values.key import Key
from shoal.values.uuid import UUID

KEY = Key.parse(b"SHA256-s3--x")


def output(
    command: str = "get",
    *,
    json: bool = False,
    json_error_messages: bool = False,
    json_progress: bool = False,
    quiet: bool = False,
    jobs: int = 1,
) -> Output:
    return Output(
        command,
        json=json,
        json_error_messages=json_error_messages,
        json_progress=json_progress,
        quiet=quiet,
        jobs=jobs,
    )


def test_an_item_that_goes_well(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    out = output()
    with out.item(Subject(file="a b", key=KEY)) as item:
        item.note("from origin...")
    out.finish()
    assert capfdbinary.readouterr() == (b"get a b (from origin...) ok\n", b"")
    assert out.exit_code == 0


def test_long_notes_are_indented_with_a_blank_line_between(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    out = output("drop")
    with out.item(Subject(file="f", key=KEY)) as item:
        item.note("unsafe")
        item.long_note("one\n\n\tu -- x")
        item.long_note("")
        item.long_note("two")
        item.fail()
    out.finish()
    assert capfdbinary.readouterr() == (
        b"drop f (unsafe) \n  one\n\n  \tu -- x\n\n\n\n  two\nfailed\n",
        b"drop: 1 failed\n",
    )
    assert out.exit_code == 1


def test_an_error_in_an_item(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    out = output("wanted")
    with out.item(Subject(text="here")):
        raise ShoalError("Parse error")
    with out.item(Subject(text="b")):
        pass
    out.finish()
    assert capfdbinary.readouterr() == (
        b"wanted here \nfailed\nwanted b ok\n",
        b"shoal: Parse error\nwanted: 1 failed\n",
    )


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), output().item():
        raise ZeroDivisionError


def test_what_the_system_refuses_is_told_in_a_sentence(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    out = output("add")
    with out.item(Subject(file="f")), open("/nonexistent/file"):
        pass
    assert capfdbinary.readouterr() == (
        b"add f \nfailed\n",
        b"shoal: /nonexistent/file: No such file or directory\n",
    )
    with pytest.raises(BrokenPipeError), out.item(Subject(file="f")):
        raise BrokenPipeError


def test_a_command_without_a_subject(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with output("init").item(Subject(text="")):
        pass
    assert capfdbinary.readouterr().out == b"init  ok\n"


def test_json(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    out = output(json=True)
    with out.item(Subject(file="é", key=KEY), given=["d"]) as item:
        item.note("from origin...")
        item.long_note("shown only", in_json="")
        item.long_note("shown", in_json="said")
        item.field(wanted=[])
    assert capfdbinary.readouterr().out.decode() == (
        '{"command":"get","error-messages":[],"file":"é","input":["d"],"key":"SHA256-s3--x",'
        '"note":"from origin...\\nsaid","success":true,"wanted":[]}\n'
    )


def test_json_of_other_subjects(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    out = output(json=True)
    with out.item(Subject(text="here", uuid=UUID("u1"))):
        pass
    with out.item(Subject(key=KEY)):
        pass
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [sorted(line) for line in lines] == [
        ["command", "error-messages", "input", "success", "uuid"],
        ["command", "error-messages", "input", "key", "success"],
    ]


def test_errors_go_to_stderr_unless_json_shall_have_them(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    with output(json=True).item(Subject(text="x")) as item:
        item.error("one")
        item.warning("two")
        item.fail()
    shown = capfdbinary.readouterr()
    assert shown.err == b"one\n  two\n"
    assert json.loads(shown.out)["error-messages"] == []
    with output(json_error_messages=True).item(Subject(text="x")) as item:
        item.error("one")
        item.warning("two")
        item.fail()
    shown = capfdbinary.readouterr()
    assert shown.err == b""
    assert json.loads(shown.out)["error-messages"] == ["one", "two"]


def test_progress_as_json(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with output(json_progress=True).item(Subject(file="f", key=KEY), given=["f"]) as item:
        item.note("from o...")
        item.progress(1, 3)
        item.progress(2, 3)  # too soon after the first
        item.progress(3, 3)
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [line.get("byte-progress") for line in lines] == [1, 3, None]
    assert lines[0] == {
        "action": {
            "command": "get",
            "file": "f",
            "input": ["f"],
            "key": "SHA256-s3--x",
            "note": "from o...",
        },
        "byte-progress": 1,
        "percent-progress": "33.33%",
        "total-size": 3,
    }
    assert lines[1]["percent-progress"] == "100%"


def test_progress_of_unknown_size(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with output(json_progress=True).item(Subject(file="f")) as item:
        item.progress(5, None)
    line = json.loads(capfdbinary.readouterr().out.splitlines()[0])
    assert sorted(line) == ["action", "byte-progress"]


def test_progress_is_shown_on_a_terminal_only(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    out = output()
    with out.item(Subject(file="f")) as item:
        item.progress(1, 3)
    out.has_meter = True
    with out.item(Subject(file="g")) as item:
        item.note("from o...")
        item.progress(1, 2)
        item.progress(2, 2)  # too soon
    width = 30
    meter = "\r" + "50%  1 B".ljust(width) + "\r" + " " * width + "\r"
    assert capfdbinary.readouterr().out.decode() == f"get f ok\nget g (from o...) \n{meter}ok\n"


def test_concurrent_items_are_shown_whole(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    out = output(jobs=2)
    with out.item(Subject(file="a")) as a:
        with out.item(Subject(file="b")) as b:
            b.note("x")
        a.note("y")
    assert capfdbinary.readouterr().out == b"get b (x) ok\nget a (y) ok\n"


def test_quiet_shows_errors_only(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    out = output(quiet=True)
    with out.item(Subject(file="a")) as item:
        item.note("x")
        item.progress(1, 2)
        item.warning("no")
        item.fail()
    out.note("recording state in git...")
    out.finish()
    assert capfdbinary.readouterr() == (b"", b"  no\nget: 1 failed\n")


def test_bytes_that_are_no_text(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with output().item(Subject(file=os.fsdecode(b"bad\xff"))):
        pass
    out = output(json=True)
    with out.item(Subject(file=os.fsdecode(b"bad\xff"))):
        pass
    out.line(os.fsdecode(b"bad\xff"))
    text, record, line = capfdbinary.readouterr().out.splitlines()
    assert text == b'get "bad\\377" ok'
    assert json.loads(record)["file"] == "bad\N{REPLACEMENT CHARACTER}"
    assert line == b"bad\xff"


def test_explanations_are_lines_in_brackets_where_nobody_reads_a_list(
    capfd: pytest.CaptureFixture[str],
) -> None:
    out = Output("get")
    out.explain("a matches")
    out.lists = True
    out.explain("b matches")
    out.flush()
    for silent in (Output("get", json=True), Output("get", quiet=True)):
        silent.explain("c matches")
        silent.flush()
    assert capfd.readouterr() == ("[ a matches ]\n", "[ b matches ]\n")


def test_a_meter_is_overwritten_by_what_is_shown_next(capfd: pytest.CaptureFixture[str]) -> None:
    out = Output("cluster scrub")
    out.meter("nobody looks")
    out.has_meter = True
    out.meter("n1: 5 keys")
    out.meter("n1: 6 keys")  # too soon after the last one
    out.line("n1: done")
    out.flush()
    assert capfd.readouterr().out == f"{'n1: 5 keys':<30}\r{'':<30}\rn1: done\n"

"""What a command works on: combinations that make no sense are refused, batches are read."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.cli.selection import Selection, add_selection, each_word, parse_key, read_batch
from shoal.errors import ShoalError
from tests.support.annexrepo import git, key_of, make_annex

ONE, TWO = key_of(b"one"), key_of(b"two")
_ONE_OF = "Can only specify one of file names, --all, --branch, --unused"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two annexed files, as the current directory."""
    top = tmp_path / "repo"
    make_annex(top).close()
    for name, key in (("a", ONE), ("b", TWO)):
        (top / name).symlink_to(f".git/annex/objects/x/y/{key}/{key}")
    git(top, "add", "a", "b")
    monkeypatch.chdir(top)
    return top


def selected(*words: str) -> list[str]:
    """Give what the words select, as it is shown."""
    parser = Parser("whereis", "")
    add_selection(parser)
    args = parser.parse(words)
    context = Context("whereis", args)
    try:
        works = list(Selection(args, context).works())
        return [str(work.subject) if work.candidate else f"({work.subject})" for work in works]
    finally:
        context.abandon()


@pytest.mark.usefixtures("here")
def test_paths_and_keys() -> None:
    assert selected() == ["a", "b"]
    assert selected("b") == ["b"]
    assert selected("--key", str(ONE)) == [str(ONE)]
    assert selected("--include=a") == ["a"]
    assert selected("--not", "--include=a") == ["b"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--all", "a"], _ONE_OF),
        (["--key", str(ONE), "a"], _ONE_OF),
        (["--all", "--branch", "HEAD"], _ONE_OF),
        (["--batch", "a"], "Cannot combine batch option with file or key options"),
        (["--batch-keys", "--all"], "Cannot combine batch option with file or key options"),
        (["--all", "--include=x"], "Cannot use --all or --unused or --key or --incomplete with"),
        (["--in=nosuch"], 'there is no available git remote named "nosuch"'),
    ],
)
def test_what_does_not_go_together(words: list[str], message: str) -> None:
    with pytest.raises(ShoalError) as error:
        selected(*words)
    assert str(error.value).startswith(message)


def read(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let the data come on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.usefixtures("here")
def test_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    read(monkeypatch, b"b\nnosuch\na\n")
    assert selected("--batch") == ["b", "(nosuch)", "a"]
    read(monkeypatch, b"a\nb\n")
    assert selected("--batch", "--include=a") == ["a", "(b)"]
    read(monkeypatch, f"{TWO}\n{ONE}\n".encode())
    assert selected("--batch-keys") == [str(TWO), str(ONE)]
    read(monkeypatch, b"no key\n")
    with pytest.raises(ShoalError, match="Batch input parse failure: not a valid key"):
        selected("--batch-keys")


def test_lines_may_end_as_on_windows_and_the_last_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read(monkeypatch, b"a\r\n\nb\xff c")
    assert list(read_batch(nul=False)) == ["a", "", "b\udcff c"]


def test_nulls_separate_what_has_newlines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"a\nb\0c\0\0d")
    with path.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert list(read_batch(nul=True)) == ["a\nb", "c", "", "d"]


def test_words_are_handled_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def handle(word: str) -> bool:
        seen.append(word)
        return word != "bad"

    def blank() -> None:
        seen.append("-")

    assert each_word(["a", "b"], False, False, handle, blank)
    assert not each_word(["a", "bad", "c"], False, False, handle, blank)
    assert not each_word(["bad", "d"], False, False, handle, blank, stop=True)
    assert seen == ["a", "b", "a", "bad", "c", "bad"]
    read(monkeypatch, b"x\nbad\n")
    assert each_word([], True, False, handle, blank)
    assert seen[-3:] == ["x", "bad", "-"]
    with pytest.raises(ShoalError):
        each_word(["a"], True, False, handle, blank)


def test_a_bare_repository_means_all_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_annex(tmp_path / "b.git", bare=True) as repository:
        repository.logs.set_location(ONE, repository.uuid, True)
    monkeypatch.chdir(tmp_path / "b.git")
    assert selected() == [str(ONE)]
    assert selected("x") == []


def test_keys() -> None:
    assert parse_key(str(ONE)) == ONE
    with pytest.raises(ShoalError, match="bad key"):
        parse_key("foo")


@pytest.fixture(autouse=True)
def _close_stdin() -> Iterator[None]:
    before = sys.stdin
    yield
    sys.stdin = before

"""annex.largefiles and its likes decide what goes into the annex, and how."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.annex.largefiles import LargeFiles, is_dotfile
from shoal.annex.session import Session
from shoal.errors import ConfigError
from tests.support.annexrepo import git
from tests.support.client import Client


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    made = Client(tmp_path)
    yield made
    made.close()


def large_files(client: Client, **config: str) -> LargeFiles:
    for name, value in config.items():
        git(Path(client.repository.path), "config", f"annex.{name}", value)
    client.repository.config.reload()
    return LargeFiles(Session(client.repository))


def test_everything_is_large_by_default(client: Client) -> None:
    assert large_files(client).is_large("f", 0, None)


@pytest.mark.parametrize(
    ("expression", "large"),
    [
        ("anything", True),
        ("nothing", False),
        ("", True),
        ("include=*.x", True),
        ("include=d/*", True),
        ("exclude=*.x", False),
        ("largerthan=9b", True),
        ("largerthan=10b", False),
        ("smallerthan=11", True),
        ("largerthan=1kb or ( include=*.x and not smallerthan=1 )", True),
    ],
)
def test_expressions(client: Client, expression: str, large: bool) -> None:
    assert large_files(client).is_large("d/f.x", 10, expression) is large


def test_git_config_counts_most_and_the_branch_least(client: Client) -> None:
    client.repository.logs.set_config("annex.largefiles", "include=*.log")
    files = large_files(client)
    assert files.is_large("a.log", 1, None)
    assert not files.is_large("a.conf", 1, None)
    assert files.is_large("a.conf", 1, "anything")
    files = large_files(client, largefiles="include=*.conf")
    assert files.is_large("a.conf", 1, "nothing")
    assert not files.is_large("a.log", 1, "anything")


@pytest.mark.parametrize(
    ("expression", "near"),
    [("bogus", "bogus"), ("copies=2", "copies=2"), ("anything or mimetype=text/*", "mimetype")],
)
def test_what_is_not_known_is_refused(client: Client, expression: str, near: str) -> None:
    with pytest.raises(ConfigError) as error:
        large_files(client, largefiles=expression).is_large("f", 1, None)
    message = 'bad annex.largefiles configuration in git config: Parse failure: near "'
    assert str(error.value).startswith(message + near)


def test_add_unlocked(client: Client) -> None:
    assert not large_files(client).is_unlocked("f", 1)
    assert large_files(client, addunlocked="true").is_unlocked("f", 1)
    files = large_files(client, addunlocked="include=*.x")
    assert files.is_unlocked("f.x", 1)
    assert not files.is_unlocked("f.y", 1)
    with pytest.raises(ConfigError):
        large_files(client, addunlocked="bogus").is_unlocked("f", 1)


def test_dotfiles(client: Client) -> None:
    assert is_dotfile(".a")
    assert is_dotfile("d/.b/c")
    assert not is_dotfile("a.b/c.")
    assert not large_files(client).takes_dotfiles
    assert large_files(client, dotfiles="true").takes_dotfiles

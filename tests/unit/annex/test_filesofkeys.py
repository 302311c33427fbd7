"""The files of the index by their keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.annex.filesofkeys import FilesOfKeys
from shoal.git.repository import Repository
from shoal.values.key import Key
from tests.support.annexrepo import git, key_of, make_annex


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    found = make_annex(tmp_path / "repo")
    yield found
    found.close()


def link(repository: Repository, name: str, key: Key) -> None:
    path = Path(repository.path) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(f".git/annex/objects/x/y/{key}/{key}")


def test_all_files_of_a_key(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locked and unlocked ones, with any names, wherever the user is."""
    one, two, three = key_of(b"1"), key_of(b"2"), key_of(b"3")
    top = Path(repository.path)
    odd = os.fsdecode(b"odd\n\xff name")
    for name, key in (("z", one), ("a/b/c", one), (odd, two)):
        link(repository, name, key)
    (top / "unlocked").write_text(f"/annex/objects/{one}\n")
    (top / "other").write_text("no annexed file\n")
    git(top, "-c", "core.autocrlf=false", "add", ".")
    monkeypatch.chdir(top / "a")
    files = FilesOfKeys(repository)
    assert files.of(one) == ["a/b/c", "unlocked", "z"]
    assert files.of(two) == [odd]
    assert files.of(three) == []


def test_very_many_files(repository: Repository) -> None:
    """More than are read at once, several for each key."""
    keys = [key_of(b"%d" % number) for number in range(50)]
    blobs = {
        key: git(
            Path(repository.path), "hash-object", "-w", "--stdin",
            data=b".git/annex/objects/x/y/%s/%s" % (bytes(key), bytes(key)),
        ).strip()
        for key in keys
    }  # fmt: skip
    names = {
        key: [f"{number:05}/{'long' * 20}" for number in range(at, 5000, 50)]
        for at, key in enumerate(keys)
    }
    lines = [
        b"120000 %s 0\t%s\n" % (blobs[key].encode(), name.encode())
        for key in keys for name in names[key]
    ]  # fmt: skip
    git(Path(repository.path), "update-index", "--index-info", data=b"".join(lines))
    files = FilesOfKeys(repository)
    assert {key: files.of(key) for key in keys} == names

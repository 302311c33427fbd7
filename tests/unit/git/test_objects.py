"""Where objects are, what presence means, and how they are locked, removed and moved."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from shoal.errors import ContentLocked
from shoal.git.objects import ContentAbsent, InsecureKey, ObjectStore
from shoal.git.objectsettings import wants_sync
from shoal.git.repository import Repository
from shoal.values.key import Key
from tests.support.annexrepo import key_of, make_annex

CONTENT = b"the content\n"
KEY = key_of(CONTENT)
NAME = str(KEY)


def _put(repository: Repository, content: bytes = CONTENT, key: Key = KEY) -> Path:
    """Place a content; give its path."""
    source = Path(repository.annex_path("incoming"))
    source.write_bytes(content)
    assert repository.objects.place(key, str(source))
    path = repository.objects.path(key)
    assert path is not None
    return Path(path)


def _below(repository: Repository, path: str | Path) -> str:
    return os.path.relpath(path, repository.annex_path("objects"))


@pytest.mark.parametrize(
    ("bare", "config", "expected"),
    [
        (False, {}, ["X1/y2/K/K", "abc/def/K/K"]),
        (True, {}, ["abc/def/K/K", "X1/y2/K/K"]),
        (False, {"annex.tune.objecthashlower": "true"}, ["abc/def/K/K"]),
        (False, {"annex.tune.objecthash1": "true"}, ["X1/K/K", "abc/K/K"]),
        (
            False,
            {"annex.crippledfilesystem": "true", "core.symlinks": "false"},
            ["abc/def/K/K", "X1/y2/K/K"],
        ),
        (False, {"annex.crippledfilesystem": "true"}, ["X1/y2/K/K", "abc/def/K/K"]),
    ],
)
def test_the_repository_decides_where_objects_go(
    tmp_path: Path, bare: bool, config: dict[str, str], expected: list[str]
) -> None:
    """Directories of both forms, in the order of the kind of repository."""
    repository = make_annex(tmp_path / "repo", bare=bare, config=config)
    key = Key.parse(b"SHA256E-s12--abc.txt")  # its hash directories are 5q/M6 and 4b6/9e8
    names = {"X1": "5q", "y2": "M6", "abc": "4b6", "def": "9e8", "K": str(key)}
    wanted = ["/".join(names[part] for part in path.split("/")) for path in expected]
    found = [_below(repository, path) for path in repository.objects.candidates(key)]
    assert found == wanted
    placed = _put(repository, b"x", key)
    assert _below(repository, placed) == wanted[0]


def test_an_object_is_found_in_either_place(tmp_path: Path) -> None:
    """A repository that was bare, or came from another system, may have both."""
    store = make_annex(tmp_path / "repo").objects
    assert store.path(KEY) is None
    assert not store.present(KEY)
    second = Path([*store.candidates(KEY)][1])
    second.parent.mkdir(parents=True)
    second.write_bytes(CONTENT)
    assert store.path(KEY) == str(second)
    assert store.location(KEY) == str(second)
    assert store.present(KEY)


def test_a_placed_object_is_frozen(tmp_path: Path) -> None:
    """Neither it nor its directory can be written."""
    path = _put(make_annex(tmp_path / "repo"))
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) & 0o222 == 0
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o222 == 0


def test_an_object_in_the_other_place_stays(tmp_path: Path) -> None:
    """And nothing is left where the new one would have gone."""
    repository = make_annex(tmp_path / "repo")
    new, other = map(Path, repository.objects.candidates(KEY))
    other.parent.mkdir(parents=True)
    other.write_bytes(CONTENT)
    source = Path(repository.annex_path("incoming"))
    source.write_bytes(CONTENT)
    assert not repository.objects.place(KEY, str(source))
    assert not source.exists()
    assert not new.parents[2].exists()
    assert repository.objects.path(KEY) == str(other)


def test_the_first_object_stays(tmp_path: Path) -> None:
    """A second one with the same key is deleted."""
    repository = make_annex(tmp_path / "repo")
    path = _put(repository)
    inode = path.stat().st_ino
    second = Path(repository.annex_path("second"))
    second.write_bytes(CONTENT)
    assert not repository.objects.place(KEY, str(second))
    assert path.stat().st_ino == inode
    assert not second.exists()


def test_no_directory_is_made_where_the_repository_was(tmp_path: Path) -> None:
    """When the disk is away nothing is written to its mount point."""
    repository = make_annex(tmp_path / "repo", bare=True)
    source = tmp_path / "incoming"
    source.write_bytes(CONTENT)
    (tmp_path / "repo").rename(tmp_path / "away")
    (tmp_path / "repo").mkdir()
    with pytest.raises(FileNotFoundError):
        repository.objects.place(KEY, str(source))
    assert list((tmp_path / "repo").iterdir()) == []
    assert source.read_bytes() == CONTENT


def test_a_name_too_long_is_absent(tmp_path: Path) -> None:
    """No file can have it."""
    store = make_annex(tmp_path / "repo").objects
    assert not store.present(Key.parse(b"WORM--" + b"x" * 300))


def test_a_disk_error_is_not_absence(tmp_path: Path) -> None:
    """Only a missing file is."""
    repository = make_annex(tmp_path / "repo")
    path = _put(repository)
    directory = path.parent.parent
    directory.rename(tmp_path / "elsewhere")
    directory.symlink_to(directory.name)  # a loop: ELOOP
    with pytest.raises(OSError, match="symbolic links"):
        repository.objects.present(KEY)


def test_weak_keys_are_kept_out_when_asked(tmp_path: Path) -> None:
    """annex.securehashesonly, noticed while running."""
    repository = make_annex(tmp_path / "repo")
    weak = [key_of(b"x", b"MD5E"), Key.parse(b"WORM-s1-m1--x"), Key.parse(b"XEXT--x")]
    for key in weak:
        repository.objects.check_allowed(key)
    repository.config.set("annex.securehashesonly", "true")
    repository.refresh()
    repository.config.reload()
    for key in weak:
        with pytest.raises(InsecureKey, match="blocked transfer"):
            repository.objects.check_allowed(key)
    repository.objects.check_allowed(KEY)


def test_objects_are_listed(tmp_path: Path) -> None:
    """By key; lock files without an object are none."""
    repository = make_annex(tmp_path / "repo")
    keys = {key_of(content): content for content in (b"a", b"b", b"c")}
    for key, content in keys.items():
        _put(repository, content, key)
    empty = Path(repository.objects.new_path(KEY)).parent
    empty.mkdir(parents=True)
    (empty / f"{NAME}.lck").touch()
    assert set(repository.objects.keys()) == set(keys)


def test_locks_need_an_object(tmp_path: Path) -> None:
    """Neither a promise nor a removal of what is not there, and nothing is left behind."""
    store = make_annex(tmp_path / "repo").objects
    with pytest.raises(ContentAbsent):
        store.lock_shared(KEY, 600)
    with pytest.raises(ContentAbsent):
        store.lock_removal(KEY)
    directory = Path(store.new_path(KEY)).parent
    directory.mkdir(parents=True)
    with pytest.raises(ContentAbsent):
        store.lock_shared(KEY, 600)
    assert not directory.exists()


def test_a_removal_leaves_nothing(tmp_path: Path) -> None:
    """Object, locks and directories are gone."""
    repository = make_annex(tmp_path / "repo")
    _put(repository)
    store = repository.objects
    with store.lock_removal(KEY) as lock:
        assert store.is_being_removed(KEY)
        lock.remove()
        lock.remove()
    assert not store.present(KEY)
    assert list(Path(repository.annex_path("objects")).iterdir()) == []


def test_an_object_that_is_being_removed_is_not_relied_on(tmp_path: Path) -> None:
    """A new content waits until the old one is gone, and takes its place."""
    repository = make_annex(tmp_path / "repo")
    _put(repository)
    second = Path(repository.annex_path("second"))
    second.write_bytes(CONTENT)
    lock = repository.objects.lock_removal(KEY)
    placed: list[bool] = []
    placing = threading.Thread(
        target=lambda: placed.append(repository.objects.place(KEY, str(second)))
    )
    placing.start()
    with lock:
        assert second.exists()
        lock.remove()
    placing.join()
    assert placed == [True]
    assert repository.objects.present(KEY)


def test_a_removal_that_takes_long_refuses_new_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new content is not lost: it stays where it was."""
    repository = make_annex(tmp_path / "repo")
    _put(repository)
    second = Path(repository.annex_path("second"))
    second.write_bytes(CONTENT)
    monkeypatch.setattr("shoal.git.objects._WAIT_SECONDS", 0)
    with repository.objects.lock_removal(KEY), pytest.raises(ContentLocked):
        repository.objects.place(KEY, str(second))
    assert second.read_bytes() == CONTENT


def test_a_removal_that_is_not_made_changes_nothing(tmp_path: Path) -> None:
    """The lock alone removes nothing."""
    repository = make_annex(tmp_path / "repo")
    path = _put(repository)
    with repository.objects.lock_removal(KEY):
        pass
    assert [entry.name for entry in path.parent.iterdir()] == [NAME]
    with repository.objects.lock_shared(KEY), pytest.raises(ContentLocked):
        repository.objects.lock_removal(KEY)


def test_content_can_be_erased_before_it_is_deleted(tmp_path: Path) -> None:
    """annex.secure-erase-command, while the file still is there."""
    log = tmp_path / "log"
    config = {"annex.secure-erase-command": f"cat %file >> {log}"}
    repository = make_annex(tmp_path / "repo", config=config)
    _put(repository)
    with repository.objects.lock_removal(KEY) as lock:
        lock.remove()
    assert log.read_bytes() == CONTENT


def test_bad_content_is_put_aside(tmp_path: Path) -> None:
    """Out of view, not deleted."""
    repository = make_annex(tmp_path / "repo")
    _put(repository)
    moved = repository.objects.move_bad(KEY)
    assert moved == repository.annex_path("bad", NAME)
    assert Path(moved).read_bytes() == CONTENT
    assert not repository.objects.present(KEY)
    with pytest.raises(ContentAbsent):
        repository.objects.move_bad(KEY)


def test_a_thin_object_that_was_edited_is_absent(tmp_path: Path) -> None:
    """With annex.thin it may be the same file as an unlocked one."""
    repository = make_annex(tmp_path / "repo", config={"annex.thin": "true"})
    path = _put(repository)
    store = repository.objects
    file = tmp_path / "repo" / "file"
    os.link(path, file)
    file.chmod(0o644)
    assert store.present(KEY)
    assert store.present(KEY)
    file.write_bytes(b"THE content\n")
    assert not store.present(KEY)
    with pytest.raises(ContentAbsent):
        store.lock_shared(KEY)
    file.write_bytes(CONTENT)
    assert store.present(KEY)


def test_a_shared_repository_has_its_modes(tmp_path: Path) -> None:
    """core.sharedRepository=group, for all that is made on the way."""
    repository = make_annex(tmp_path / "repo", config={"core.sharedRepository": "group"})
    path = _put(repository)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    for directory in (path.parent, path.parent.parent, path.parent.parent.parent):
        assert stat.S_IMODE(directory.stat().st_mode) & 0o770 == 0o770


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, False),
        ({"annex.fsync": "true"}, True),
        ({"core.fsyncObjectFiles": "true"}, True),
        ({"core.fsyncObjectFiles": "true", "annex.fsync": "false"}, False),
        ({"core.fsync": "all"}, True),
        ({"core.fsync": "committed,-loose-object"}, False),
        ({"core.fsync": "reference"}, False),
    ],
)
def test_waiting_for_the_disk_is_configured(
    tmp_path: Path, config: dict[str, str], expected: bool
) -> None:
    """As careful as git is told to be with its own objects."""
    repository = make_annex(tmp_path / "repo", config=config)
    assert wants_sync(repository) is expected
    _put(repository)
    assert ObjectStore(repository).present(KEY)

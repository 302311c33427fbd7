"""Adding files: locked and unlocked, and everything that can go wrong meanwhile."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from shoal.errors import ConfigError
from shoal.git.filerules import FileRules
from shoal.git.ingest import CannotAdd, ChangedWhileAdded, Ingester
from shoal.git.keymaking import make_key
from shoal.git.objects import InsecureKey
from shoal.git.pointers import format_pointer
from shoal.git.repository import Repository
from shoal.git.staging import Stager
from shoal.values.key import Key
from tests.support.annexrepo import HERE, git, key_of, make_annex

CONTENT = b"content to add\n" * 1000
KEY = key_of(CONTENT)
SHA = b"SHA256E"
PAST = 1_500_000_000


class Work:
    """A work tree with a file to add."""

    def __init__(self, root: Path, config: dict[str, str] | None = None) -> None:
        self.path = root / "work"
        self.repository: Repository = make_annex(self.path, config=config)
        self.file = self.path / "sub" / "file.txt"
        self.file.parent.mkdir()
        self.file.write_bytes(CONTENT)
        os.utime(self.file, (PAST, PAST))

    def add(self, *, unlocked: bool, backend: bytes = SHA, old: Key | None = None) -> Key:
        """Add the file and stage it; give its key."""
        ingester = Ingester(self.repository)
        with Stager(self.repository) as stager:
            ingested = ingester.add("sub/file.txt", backend, unlocked=unlocked, old=old)
            stager.add(ingested.staged)
        return ingested.key

    def unharmed(self) -> bool:
        """Tell whether the file is as before, and nothing else is there."""
        status = self.file.lstat()
        left = self.repository.annex_path("othertmp")
        return (
            stat.S_ISREG(status.st_mode)
            and self.file.read_bytes() == CONTENT
            and bool(status.st_mode & stat.S_IWUSR)
            and status.st_nlink == 1
            and (not os.path.isdir(left) or os.listdir(left) == [])
        )

    @property
    def status(self) -> str:
        return git(self.path, "status", "--porcelain")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path)


def test_a_locked_file_is_a_link_to_its_object(work: Work) -> None:
    """The object is the file itself, frozen; the link has the file's time."""
    inode = work.file.stat().st_ino
    assert work.add(unlocked=False) == KEY
    assert work.file.is_symlink()
    assert work.file.read_bytes() == CONTENT
    assert work.file.lstat().st_mtime == PAST
    path = work.repository.objects.path(KEY)
    assert path is not None
    assert os.stat(path).st_ino == inode
    assert os.stat(path).st_nlink == 1
    assert os.stat(path).st_mode & 0o222 == 0
    assert os.readlink(work.file) == os.path.relpath(path, work.file.parent)
    assert work.repository.logs.locations(KEY, raw=True) == {HERE}
    assert git(work.path, "ls-files", "--stage").startswith("120000 ")
    assert git(work.path, "diff-files") == ""
    assert work.status == "A  sub/file.txt\n"


def test_an_unlocked_file_stays_itself(work: Work) -> None:
    """The object is a copy; git has the pointer, and the file's mode."""
    inode = work.file.stat().st_ino
    work.file.chmod(0o755)
    assert work.add(unlocked=True) == KEY
    assert work.file.stat().st_ino == inode
    assert stat.S_IMODE(work.file.stat().st_mode) == 0o755
    path = work.repository.objects.path(KEY)
    assert path is not None
    assert os.stat(path).st_ino != inode
    assert os.stat(path).st_mode & 0o222 == 0
    assert Path(path).read_bytes() == CONTENT
    assert git(work.path, "show", ":sub/file.txt").encode() == format_pointer(KEY)
    assert git(work.path, "ls-files", "--stage").startswith("100755 ")
    assert git(work.path, "diff-files") == ""
    assert work.status == "A  sub/file.txt\n"


def test_a_thin_file_is_its_object(tmp_path: Path) -> None:
    """And can be written still."""
    work = Work(tmp_path, {"annex.thin": "true"})
    mode = work.file.stat().st_mode
    work.add(unlocked=True)
    path = work.repository.objects.path(KEY)
    assert path is not None
    assert os.path.samefile(path, work.file)
    assert work.file.stat().st_mode == mode
    assert work.repository.objects.present(KEY)
    assert work.status == "A  sub/file.txt\n"


@pytest.mark.parametrize("unlocked", [True, False])
def test_content_that_is_there_already_is_not_kept_twice(work: Work, unlocked: bool) -> None:
    """The first object stays."""
    source = Path(work.repository.annex_path("incoming"))
    source.write_bytes(CONTENT)
    work.repository.objects.place(KEY, str(source))
    path = work.repository.objects.path(KEY)
    assert path is not None
    inode = os.stat(path).st_ino
    work.add(unlocked=unlocked)
    assert os.stat(path).st_ino == inode
    assert work.file.read_bytes() == CONTENT
    assert work.status == "A  sub/file.txt\n"


@pytest.mark.parametrize("unlocked", [True, False])
@pytest.mark.parametrize("change", ["write", "replace", "delete"])
def test_a_file_that_changes_is_not_added(
    work: Work, monkeypatch: pytest.MonkeyPatch, unlocked: bool, change: str
) -> None:
    """While it is hashed: written to, replaced or deleted. The user's version stays."""

    def disturbed(config: object, file: int, path: str, backend: bytes, progress: object) -> Key:
        key = make_key(work.repository.config, file, path, backend)
        if change == "write":
            work.file.chmod(0o644)
            work.file.write_bytes(b"changed")
        elif change == "replace":
            (work.path / "new").write_bytes(b"changed")
            (work.path / "new").rename(work.file)
        else:
            work.file.unlink()
        return key

    monkeypatch.setattr("shoal.git.ingest.make_key", disturbed)
    with pytest.raises(ChangedWhileAdded, match=r"sub/file\.txt changed"):
        work.add(unlocked=unlocked)
    assert change == "delete" or work.file.read_bytes() == b"changed"
    assert not work.repository.objects.present(KEY)
    assert work.repository.logs.locations(KEY, raw=True) == frozenset()
    left = work.repository.annex_path("othertmp")
    assert not os.path.isdir(left) or os.listdir(left) == []


@pytest.mark.parametrize("unlocked", [True, False])
def test_a_key_that_is_kept_out_leaves_the_file(tmp_path: Path, unlocked: bool) -> None:
    """annex.securehashesonly; and a backend that makes no keys."""
    work = Work(tmp_path, {"annex.securehashesonly": "true"})
    with pytest.raises(InsecureKey):
        work.add(unlocked=unlocked, backend=b"MD5E")
    assert work.unharmed()
    with pytest.raises(ConfigError, match="cannot make a key"):
        work.add(unlocked=unlocked, backend=b"URL")
    assert work.unharmed()


def test_a_failure_after_the_object_is_placed_gives_the_file_back(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a file of its own: who edits it must not change the object."""

    def fail(target: str, link: str) -> None:
        raise PermissionError(13, "no", link)

    monkeypatch.setattr(os, "symlink", fail)
    with pytest.raises(PermissionError):
        work.add(unlocked=False)
    assert work.unharmed()
    path = work.repository.objects.path(KEY)
    assert path is not None
    assert os.stat(path).st_nlink == 1


@pytest.mark.parametrize("unlocked", [True, False])
def test_only_plain_files_are_added(work: Work, unlocked: bool) -> None:
    """No directories, links or pipes."""
    work.file.unlink()
    work.file.mkdir()
    with pytest.raises(CannotAdd, match="is not a file"):
        work.add(unlocked=unlocked)
    work.file.rmdir()
    work.file.symlink_to("x")
    with pytest.raises(CannotAdd, match="is not a file"):
        work.add(unlocked=unlocked)
    work.file.unlink()
    with pytest.raises((CannotAdd, FileNotFoundError)):
        work.add(unlocked=unlocked)


def test_without_hard_links_the_object_is_a_copy(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some file systems."""

    def fail(source: str, target: str) -> None:
        raise OSError(1, "no")

    monkeypatch.setattr(os, "link", fail)
    assert work.add(unlocked=False) == KEY
    assert work.file.is_symlink()
    assert work.file.read_bytes() == CONTENT


def test_a_worm_key_names_the_file(work: Work) -> None:
    """By its path from the top, and its time."""
    key = work.add(unlocked=False, backend=b"WORM")
    assert str(key) == f"WORM-s{len(CONTENT)}-m{PAST}--sub/file.txt"
    assert work.file.read_bytes() == CONTENT


def test_a_file_is_hashed_once_and_tells_how_far(work: Work) -> None:
    """For progress displays."""
    told: list[int] = []
    Ingester(work.repository).add("sub/file.txt", SHA, unlocked=False, progress=told.append)
    assert told == [len(CONTENT)]


def test_many_files_are_staged_at_once(work: Work) -> None:
    """With all kinds of names."""
    names = ["a", "b c", "ü", "x" * 200, "new\nline", 'quo"te', "deep/er/file"]
    ingester = Ingester(work.repository)
    with Stager(work.repository) as stager:
        for number, name in enumerate(names):
            file = work.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"%d" % number)
            os.utime(file, (PAST, PAST))  # or git would look at it, and there are no filters
            stager.add(ingester.add(name, SHA, unlocked=number % 2 == 0).staged)
    listed = git(work.path, "ls-files", "-z").split("\0")[:-1]
    assert sorted(listed) == sorted(names)
    assert git(work.path, "diff-files") == ""


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, False),
        ({"annex.addunlocked": "true"}, True),
        ({"annex.addunlocked": "include=*.txt"}, True),
        ({"annex.addunlocked": "largerthan=1gb"}, False),
        ({"annex.addunlocked": "false"}, False),
        ({"core.symlinks": "false"}, True),
    ],
)
def test_new_files_are_unlocked_where_wanted(
    tmp_path: Path, config: dict[str, str], expected: bool
) -> None:
    """annex.addunlocked, or no symlinks."""
    repository = make_annex(tmp_path / "repo", config=config)
    rules = FileRules(repository)
    assert rules.is_added_unlocked("sub/file.txt", 100) is expected
    rules.close()


@pytest.mark.parametrize("expression", ["copies=2", "mimetype=text/*", "standard", "gibberish"])
def test_a_bad_expression_is_an_error(tmp_path: Path, expression: str) -> None:
    """Never a silent answer."""
    repository = make_annex(tmp_path / "repo", config={"annex.largefiles": expression})
    rules = FileRules(repository)
    with pytest.raises(ConfigError, match=r"annex\.largefiles in git config"):
        rules.is_large("file", 5)
    rules.close()


def test_the_users_backend_counts_most(tmp_path: Path) -> None:
    """Then the attribute, then the configuration."""
    repository = make_annex(tmp_path / "repo", config={"annex.backend": "SHA1 MD5"})
    (tmp_path / "repo" / ".gitattributes").write_text("a annex.backend=SHA512\n")
    rules = FileRules(repository)
    assert rules.backend_for("b") == b"SHA1"
    assert rules.backend_for("a") == b"SHA512"
    rules.close()
    chosen = FileRules(repository, backend="MD5E")
    assert chosen.backend_for("a") == b"MD5E"
    chosen.close()
    unknown = FileRules(repository, backend="FOO")
    with pytest.raises(ConfigError, match="unknown backend FOO"):
        unknown.backend_for("a")
    unknown.close()

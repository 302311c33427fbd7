"""Unlocked files: filled and emptied with the object, and git does not mind."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from shoal.git.inodecache import InodeCache
from shoal.git.pointers import format_pointer
from shoal.git.repository import Repository
from tests.support.annexrepo import git, key_of, make_annex

CONTENT = b"content of an unlocked file\n"
KEY = key_of(CONTENT)
POINTER = format_pointer(KEY)


class Work:
    """A repository with two unlocked files of KEY, whose content is not here."""

    def __init__(self, root: Path, config: dict[str, str] | None = None) -> None:
        self.path = root / "repo"
        self.repository: Repository = make_annex(self.path, config=config)
        (self.path / "sub").mkdir()
        (self.path / "one").write_bytes(POINTER)
        (self.path / "sub" / "two").write_bytes(POINTER)
        (self.path / "sub" / "two").chmod(0o755)
        (self.path / "other").write_bytes(b"a plain file")
        git(self.path, "add", ".")
        git(self.path, "commit", "-qm", "files")

    def come(self, content: bytes = CONTENT) -> Path:
        """Let the content come; give the object."""
        source = Path(self.repository.annex_path("incoming"))
        source.write_bytes(content)
        os.utime(source, (1_500_000_000, 1_500_000_000))
        self.repository.objects.place(KEY, str(source))
        return Path(self.repository.objects.location(KEY))

    def go(self) -> None:
        """Remove the content."""
        with self.repository.objects.lock_removal(KEY) as lock:
            lock.remove()

    def contents(self) -> list[bytes]:
        return [(self.path / name).read_bytes() for name in ("one", "sub/two")]

    def modified(self) -> list[str]:
        """Give what git holds for modified, without any filter."""
        return git(self.path, "diff-files", "--name-only").split()

    @property
    def restage_log(self) -> str:
        path = Path(self.repository.annex_path("restage.log"))
        return path.read_text() if path.exists() else ""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path)


def test_content_comes_and_goes(work: Work) -> None:
    """Files follow the object, with their modes, and git sees no change."""
    obj = work.come()
    assert work.contents() == [CONTENT, CONTENT]
    assert stat.S_IMODE((work.path / "one").stat().st_mode) & 0o333 == 0o200
    assert stat.S_IMODE((work.path / "sub" / "two").stat().st_mode) & 0o111 == 0o111
    assert (work.path / "one").stat().st_ino != obj.stat().st_ino
    assert stat.S_IMODE(obj.stat().st_mode) & 0o222 == 0
    assert work.modified() == []
    work.go()
    assert work.contents() == [POINTER, POINTER]
    assert stat.S_IMODE((work.path / "sub" / "two").stat().st_mode) & 0o111 == 0o111
    assert work.modified() == []
    assert work.restage_log == ""
    assert os.listdir(work.repository.annex_path("othertmp")) == []


def test_a_modified_file_is_left_alone(work: Work) -> None:
    """Neither filled when it is no pointer any more, nor emptied when it is not the content."""
    (work.path / "one").write_bytes(b"the user's new content")
    work.come()
    assert work.contents() == [b"the user's new content", CONTENT]
    edited = CONTENT.swapcase()  # of the same size
    (work.path / "sub" / "two").write_bytes(edited)
    work.go()
    assert work.contents() == [b"the user's new content", edited]


def test_a_touched_file_is_compared(work: Work) -> None:
    """Another time does not make another content."""
    work.come()
    os.utime(work.path / "one", (1_600_000_000, 1_600_000_000))
    work.go()
    assert work.contents() == [POINTER, POINTER]


def test_a_deleted_file_stays_deleted(work: Work) -> None:
    """And one that became a directory or a link is none of ours."""
    (work.path / "one").unlink()
    (work.path / "sub" / "two").unlink()
    (work.path / "sub" / "two").symlink_to("../other")
    work.come()
    work.go()
    assert not (work.path / "one").exists()
    assert (work.path / "other").read_bytes() == b"a plain file"


def test_a_link_does_not_lead_out_of_the_work_tree(work: Work, tmp_path: Path) -> None:
    """A directory that was replaced by a link is not followed."""
    outside = tmp_path / "outside"
    (work.path / "sub").rename(outside)
    (work.path / "sub").symlink_to(outside)
    work.come()
    assert (outside / "two").read_bytes() == POINTER
    assert (work.path / "one").read_bytes() == CONTENT


def test_a_staged_change_stays_staged(work: Work) -> None:
    """What the index says of other files, and of this one, is not changed."""
    (work.path / "other").write_bytes(b"staged")
    git(work.path, "add", "other")
    before = git(work.path, "ls-files", "--stage")
    work.come()
    assert git(work.path, "ls-files", "--stage") == before
    assert git(work.path, "diff", "--cached", "--name-only").split() == ["other"]


def test_while_git_is_busy_the_change_is_noted(work: Work) -> None:
    """In restage.log, in the real program's form; flush() makes up for it."""
    lock = work.path / ".git" / "index.lock"
    lock.touch()
    work.come()
    assert work.contents() == [CONTENT, CONTENT]
    lines = work.restage_log.splitlines()
    cache = InodeCache.of_file(str(work.path / "one"))
    assert f"{cache}:one" in lines
    assert len(lines) == 2
    assert work.modified() == ["one", "sub/two"]
    lock.unlink()
    clean = f"cat >/dev/null; printf '{POINTER.decode()}'"
    git(work.path, "config", "filter.annex.clean", clean)
    attributes = work.path / ".git" / "info" / "attributes"
    attributes.write_text("one filter=annex\ntwo filter=annex\n")
    unlocked = work.repository.objects.unlocked
    assert unlocked is not None
    assert unlocked.restage.flush(work.repository.git)
    assert work.modified() == []
    assert work.restage_log == ""


def test_notes_are_kept_when_git_cannot_look(work: Work) -> None:
    """Nothing is forgotten while the index is locked."""
    lock = work.path / ".git" / "index.lock"
    lock.touch()
    work.come()
    unlocked = work.repository.objects.unlocked
    assert unlocked is not None
    assert not unlocked.restage.flush(work.repository.git)
    kept = Path(work.repository.annex_path("restage.old")).read_text()
    assert len(kept.splitlines()) == 2
    (work.path / "one").write_bytes(b"changed")
    (work.path / "sub" / "two").write_bytes(b"changed")
    assert unlocked.restage.flush(work.repository.git)
    assert not Path(work.repository.annex_path("restage.old")).exists()


def test_a_split_index_is_asked_through_git(work: Work) -> None:
    """Files are found all the same, and the change is noted."""
    git(work.path, "update-index", "--split-index")
    work.come()
    assert work.contents() == [CONTENT, CONTENT]
    assert len(work.restage_log.splitlines()) == 2
    work.go()
    assert work.contents() == [POINTER, POINTER]


def test_without_room_a_file_stays_a_pointer(work: Work) -> None:
    """The object came, which is what counts."""
    work.repository.config.set("annex.diskreserve", "1000 exabytes")
    work.come()
    assert work.contents() == [POINTER, POINTER]
    assert work.repository.objects.present(KEY)


def test_thin_files_are_the_object_itself(tmp_path: Path) -> None:
    """One of them: a second name could change the content behind the first's back."""
    work = Work(tmp_path, {"annex.thin": "true"})
    obj = work.come()
    assert work.contents() == [CONTENT, CONTENT]
    inodes = [(work.path / name).stat().st_ino for name in ("one", "sub/two")]
    assert inodes.count(obj.stat().st_ino) == 1
    assert obj.stat().st_mode & stat.S_IWUSR
    assert work.repository.objects.present(KEY)
    assert work.modified() == []
    work.go()
    assert work.contents() == [POINTER, POINTER]


def test_an_edited_thin_file_survives_removal(tmp_path: Path) -> None:
    """It shares the object's inode, so comparing it with the object would prove nothing."""
    work = Work(tmp_path, {"annex.thin": "true"})
    obj = work.come()
    thin = next(
        path
        for path in (work.path / "one", work.path / "sub" / "two")
        if path.stat().st_ino == obj.stat().st_ino
    )
    lock = work.repository.objects.lock_removal(KEY)
    thin.write_bytes(CONTENT.swapcase())
    with lock:
        lock.remove()
    assert thin.read_bytes() == CONTENT.swapcase()


def test_a_file_that_changes_during_removal_survives(work: Work) -> None:
    """It is looked at once more before it is emptied."""
    obj = work.come()
    unlocked = work.repository.objects.unlocked
    assert unlocked is not None
    with obj.open("rb") as content:
        found = unlocked.find_unmodified(KEY, content.fileno())
    assert len(found) == 2
    (work.path / "one").write_bytes(b"just now")
    erased: list[str] = []
    unlocked.empty(KEY, found, erased.append)
    assert work.contents() == [b"just now", POINTER]
    assert erased == [str(work.path / "sub" / "two")]


def test_a_file_can_be_filled_that_git_does_not_know(work: Work) -> None:
    """For filters, which git runs while it changes its index; git is told later."""
    (work.path / "new").write_bytes(POINTER)
    obj = work.come()
    unlocked = work.repository.objects.unlocked
    assert unlocked is not None
    unlocked.fill_files(KEY, str(obj), [b"new", b"other", b"missing"])
    assert (work.path / "new").read_bytes() == CONTENT
    assert (work.path / "other").read_bytes() == b"a plain file"
    assert work.restage_log.endswith(":new\n")
    assert len(work.restage_log.splitlines()) == 1

"""git with shoal's filters: what `git add`, `checkout` and `status` do with annexed files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from shoal.git.pointers import format_pointer
from shoal.git.precommit import mend_links
from shoal.git.repository import Repository
from shoal.git.smudge import SmudgeLog, update
from shoal.values.key import Key
from tests.support.annexrepo import git, key_of, make_annex
from tests.support.filters import use_filters

LARGE = b"large content\n" * 10_000
LARGE_KEY = key_of(LARGE, extension=b"")


class Work:
    """A work tree whose files git filters through shoal."""

    def __init__(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, *, one_by_one: bool = False
    ) -> None:
        self.path = root / "work"
        self.repository: Repository = make_annex(self.path)
        use_filters(self.path, monkeypatch, one_by_one=one_by_one)

    def set(self, name: str, value: str) -> None:
        git(self.path, "config", name, value)
        self.repository.refresh()

    def add(self, name: str, content: bytes) -> bytes:
        """Write and `git add` a file; give what git stored."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        git(self.path, "add", name)
        return self.stored(name)

    def stored(self, name: str) -> bytes:
        return git(self.path, "show", f":{name}").encode()

    def is_here(self, key: Key) -> bool:
        self.repository.refresh()
        return self.repository.objects.present(
            key
        ) and self.repository.uuid in self.repository.logs.locations(key, raw=True)

    @property
    def status(self) -> str:
        return git(self.path, "status", "--porcelain")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(tmp_path, monkeypatch)


def test_without_largefiles_git_keeps_new_files(work: Work) -> None:
    """Only what is annexed stays annexed."""
    assert work.add("file", LARGE) == LARGE
    assert not work.is_here(LARGE_KEY)


def test_large_files_are_annexed(work: Work) -> None:
    """annex.largefiles decides by name and size; the file stays as it is in the work tree."""
    work.set("annex.largefiles", "largerthan=100kb and not include=*.c")
    assert work.add("file", LARGE) == format_pointer(LARGE_KEY)
    assert work.add("code.c", LARGE) == LARGE
    assert work.add("small", b"small\n") == b"small\n"
    assert (work.path / "file").read_bytes() == LARGE
    assert work.is_here(LARGE_KEY)
    assert work.status == "A  code.c\nA  file\nA  small\n"
    git(work.path, "commit", "-qm", "files")
    assert work.status == ""


def test_attributes_decide_too(work: Work) -> None:
    """Less than git config, more than what is configured for all repositories."""
    (work.path / ".gitattributes").write_text("*.dat annex.largefiles=anything\n")
    assert work.add("a.dat", b"x\n") == format_pointer(key_of(b"x\n", extension=b".dat"))
    assert work.add("a.txt", b"x\n") == b"x\n"
    work.set("annex.largefiles", "nothing")
    assert work.add("b.dat", b"y\n") == b"y\n"


def test_the_backend_is_configured(work: Work) -> None:
    """For all files, or by an attribute."""
    work.set("annex.largefiles", "anything")
    work.set("annex.backend", "MD5")
    (work.path / ".gitattributes").write_text("*.sha annex.backend=SHA1\n")
    assert work.add("a", b"x") == format_pointer(key_of(b"x", b"MD5"))
    assert work.add("a.sha", b"x") == format_pointer(key_of(b"x", b"SHA1"))


@pytest.mark.parametrize(("setting", "annexed"), [(None, False), ("true", True)])
def test_dotfiles_are_annexed_when_asked(work: Work, setting: str | None, annexed: bool) -> None:
    """annex.dotfiles; a directory counts as well."""
    work.set("annex.largefiles", "anything")
    if setting is not None:
        work.set("annex.dotfiles", setting)
    pointer = format_pointer(key_of(b"x", extension=b""))
    for name in (".file", ".directory/file"):
        assert work.add(name, b"x") == (pointer if annexed else b"x")


def test_annexing_by_git_add_can_be_switched_off(work: Work) -> None:
    """annex.gitaddtoannex; what is annexed stays so."""
    work.set("annex.largefiles", "anything")
    work.add("old", b"old")
    work.set("annex.gitaddtoannex", "false")
    assert work.add("new", b"new") == b"new"
    assert work.add("old", b"older") == format_pointer(key_of(b"older", extension=b""))


def test_an_edited_file_stays_annexed(work: Work) -> None:
    """With the backend it had; the old content stays, too."""
    work.set("annex.backend", "MD5")
    work.set("annex.largefiles", "anything")
    work.add("file", b"one")
    git(work.path, "config", "--unset", "annex.largefiles")
    work.set("annex.backend", "SHA256")
    two = key_of(b"two", b"MD5")
    assert work.add("file", b"two") == format_pointer(two)
    assert work.is_here(key_of(b"one", b"MD5"))
    assert work.is_here(two)


def test_an_unchanged_file_stays_where_it_is(work: Work) -> None:
    """In git, although annex.largefiles would have it; in the annex, although not."""
    assert work.add("in git", LARGE) == LARGE
    work.set("annex.largefiles", "anything")
    os.utime(work.path / "in git", (1, 1))
    git(work.path, "add", "in git")
    assert work.stored("in git") == LARGE
    work.add("in annex", b"annexed")
    work.set("annex.largefiles", "nothing")
    os.utime(work.path / "in annex", (1, 1))
    git(work.path, "add", "in annex")
    assert work.stored("in annex") == format_pointer(key_of(b"annexed", extension=b""))


def test_many_files_are_filtered_by_one_process(work: Work) -> None:
    """Known to git and new ones, empty ones and large ones."""
    work.set("annex.largefiles", "largerthan=1kb")
    contents = {f"file {n}": b"%d" % n * (n * 100) for n in range(30)}
    for name, content in contents.items():
        (work.path / name).write_bytes(content)
    git(work.path, "add", ".")
    git(work.path, "commit", "-qm", "one")
    for name in contents:
        with (work.path / name).open("ab") as file:
            file.write(b"more")
    git(work.path, "add", ".")
    for name, content in contents.items():
        new = content + b"more"
        stored = work.stored(name)
        # 1 kB and less went to git, and what is annexed stays annexed.
        pointer = format_pointer(key_of(new, extension=b""))
        assert stored == (pointer if len(new) > 1000 or len(content) > 1000 else new)
    git(work.path, "commit", "-qm", "two")
    assert work.status == ""


def test_a_checkout_fills_files_afterwards(work: Work) -> None:
    """git writes the pointer, the hook the content; status is clean after it."""
    work.set("annex.largefiles", "anything")
    work.add("file", LARGE)
    git(work.path, "commit", "-qm", "one")
    git(work.path, "checkout", "-qb", "other")
    work.add("file", b"other")
    git(work.path, "commit", "-qm", "two")
    git(work.path, "checkout", "-q", "-")
    assert (work.path / "file").read_bytes() == format_pointer(LARGE_KEY)
    log = work.path / ".git" / "annex" / "smudge.log"
    assert log.read_text() == f"{LARGE_KEY} file\n"
    update(work.repository)
    assert (work.path / "file").read_bytes() == LARGE
    assert log.read_text() == ""
    assert work.status == ""
    update(work.repository)


def test_filters_can_be_run_for_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As old versions of git do it, and as git-annex configures it besides."""
    work = Work(tmp_path, monkeypatch, one_by_one=True)
    work.set("annex.largefiles", "largerthan=1kb and not include=*.c")
    assert work.add("file", LARGE) == format_pointer(LARGE_KEY)
    assert work.add("code.c", LARGE * 10) == LARGE * 10
    git(work.path, "commit", "-qm", "files")
    for name in ("file", "code.c"):
        (work.path / name).unlink()
    git(work.path, "checkout", ".")
    assert (work.path / "file").read_bytes() == format_pointer(LARGE_KEY)
    assert (work.path / "code.c").read_bytes() == LARGE * 10
    update(work.repository)
    assert (work.path / "file").read_bytes() == LARGE
    assert work.status == ""


def test_what_is_noted_meanwhile_stays_noted(work: Work) -> None:
    """And nothing is forgotten when filling fails."""
    log = SmudgeLog(work.repository)
    log.add(LARGE_KEY, b"missing file")
    path = Path(work.repository.annex_path("smudge.log"))
    noted = path.read_bytes()
    log.add(key_of(b"x"), b"later")
    log._forget(noted)
    assert path.read_text() == f"{key_of(b'x')} later\n"
    log.fill()
    assert path.read_text() == ""


def test_a_copied_pointer_is_filled_by_git_add(work: Work) -> None:
    """The content is here."""
    work.set("annex.largefiles", "anything")
    work.add("file", LARGE)
    assert work.add("copy", format_pointer(LARGE_KEY)) == format_pointer(LARGE_KEY)
    assert (work.path / "copy").read_bytes() == LARGE


def test_a_pointer_with_more_in_it_is_a_file(work: Work) -> None:
    """The user hears of it."""
    content = format_pointer(LARGE_KEY) + b"appended\n"
    (work.path / "file").write_bytes(content)
    done = subprocess.run(
        ["git", "add", "file"], cwd=work.path, capture_output=True, check=True, text=True
    )
    assert "content appended" in done.stderr
    assert work.stored("file") == content


def test_an_error_is_told(work: Work) -> None:
    """git keeps what it has."""
    work.set("annex.largefiles", "mimetype=text/*")
    (work.path / "file").write_bytes(b"x")
    done = subprocess.run(
        ["git", "-c", "filter.annex.required=true", "add", "file"],
        cwd=work.path,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode != 0
    assert "annex.largefiles" in done.stderr
    assert work.status == "?? file\n"


def test_other_files_are_passed_through(work: Work, tmp_path: Path) -> None:
    """git diff filters files outside of the work tree as well."""
    work.set("annex.largefiles", "anything")
    outside = tmp_path / "outside"
    outside.write_bytes(b"outside\n")
    work.add("inside", b"inside\n")
    shown = subprocess.run(
        ["git", "diff", "--no-index", "inside", str(outside)],
        cwd=work.path,
        capture_output=True,
        check=False,
        text=True,
    )
    assert "+outside" in shown.stdout
    assert not work.repository.objects.present(key_of(b"outside\n", extension=b""))


def test_a_thin_file_can_be_edited(work: Work) -> None:
    """It is the object; when it is added again the old content is known to be gone."""
    work.set("annex.thin", "true")
    work.set("annex.largefiles", "anything")
    old, new = key_of(b"old", extension=b""), key_of(b"new", extension=b"")
    work.add("file", b"old")
    location = work.repository.objects.path(old)
    assert location is not None
    assert os.path.samefile(location, work.path / "file")
    assert work.add("file", b"new") == format_pointer(new)
    assert work.is_here(new)
    assert not work.repository.objects.present(old)
    assert work.repository.uuid not in work.repository.logs.locations(old, raw=True)


def test_before_a_commit_moved_links_are_mended(work: Work) -> None:
    """A link that was moved to another directory leads to its object again."""
    source = Path(work.repository.annex_path("incoming"))
    source.write_bytes(LARGE)
    work.repository.objects.place(LARGE_KEY, str(source))
    location = work.repository.objects.location(LARGE_KEY)
    (work.path / "link").symlink_to(os.path.relpath(location, work.path))
    (work.path / "plain").symlink_to("nowhere")
    git(work.path, "add", ".")
    git(work.path, "commit", "-qm", "link")
    (work.path / "sub").mkdir()
    git(work.path, "mv", "link", "sub/link")
    assert not (work.path / "sub" / "link").exists()
    assert mend_links(work.repository) == ["sub/link"]
    assert (work.path / "sub" / "link").read_bytes() == LARGE
    assert work.stored("sub/link") == os.readlink(work.path / "sub" / "link").encode()
    assert work.status == "D  link\nA  sub/link\n"


def test_the_users_own_hook_can_stop_a_commit(work: Work) -> None:
    """hooks/pre-commit-annex."""
    hook = work.path / ".git" / "hooks" / "pre-commit-annex"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert not work.repository.hooks.run("pre-commit-annex", "annex.pre-commit-command")

"""Initialising repositories, with plain git only."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from shoal.errors import NotARepository
from shoal.git import init as init_module
from shoal.git.hookfiles import HOOKS
from shoal.git.init import InitPrevented, default_description, ensure_initialised, initialise
from shoal.git.probing import FileSystem, probe
from shoal.git.repository import Repository
from shoal.git.uuids import new_uuid
from shoal.logs.trust import TrustLevel
from shoal.values.uuid import cluster_uuid_from, is_cluster_uuid, parse_uuid
from tests.support.gitrepo import BRANCH, git, on_branch

pytestmark = pytest.mark.usefixtures("close_repositories")
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_ALL = {"pre-commit", "post-receive", "smudge", "filter-process", "pre-push"}


@pytest.fixture(autouse=True)
def _without_git_annex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests see only git and the basic tools in PATH."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("git", "sh", "sed", "basename", "uname", "cat", "grep", "rm"):
        found = shutil.which(name, path="/usr/bin:/bin:/usr/local/bin")
        assert found is not None
        (tools / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tools))


def _make(path: Path, *words: str) -> Repository:
    subprocess.run(["git", "init", "-q", *words, path], check=True)
    return Repository.open(path)


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return _make(tmp_path / "repo")


def _install_git_annex(tmp_path: Path) -> None:
    """Put something in PATH that passes for git-annex."""
    path = tmp_path / "tools" / "git-annex"
    path.write_text('#!/bin/sh\necho "git-annex $*" >> "$HOME/calls"\ncat\n')
    path.chmod(0o755)


def test_uuids() -> None:
    assert _UUID4.fullmatch(new_uuid())
    assert new_uuid() != new_uuid()
    assert not is_cluster_uuid(new_uuid())
    assert is_cluster_uuid(cluster_uuid_from(new_uuid()))


def test_configuration_branch_and_files(repo: Repository, tmp_path: Path) -> None:
    assert initialise(repo, "my words") == []
    assert repo.is_initialised
    assert _UUID4.fullmatch(repo.uuid)
    assert repo.config.get("annex.version") == "10"
    assert repo.logs.descriptions() == {repo.uuid: "my words"}
    path = tmp_path / "repo"
    assert git(path, "log", "--format=%s", BRANCH) == "update\nbranch created"
    assert list(on_branch(path)) == ["uuid.log"]
    annex = path / ".git" / "annex"
    assert (annex / "sentinal").read_bytes() == b""
    inode, size, seconds, decimals = (annex / "sentinal.cache").read_text().split(" ")
    there = (annex / "sentinal").stat()
    assert (int(inode), int(size)) == (there.st_ino, 0)
    assert int(seconds + decimals.ljust(9, "0")) == there.st_mtime_ns
    assert (annex / "journal").is_dir()
    assert repo.branch.journal.is_empty()


def test_again_keeps_uuid_and_description(repo: Repository) -> None:
    initialise(repo, "first")
    uuid, tip = repo.uuid, repo.branch.tip
    assert initialise(repo) == []
    assert (repo.uuid, repo.branch.tip) == (uuid, tip)
    initialise(repo, "second")
    assert repo.logs.descriptions() == {uuid: "second"}


def test_a_given_uuid_is_taken(repo: Repository) -> None:
    initialise(repo, uuid=parse_uuid("33333333-3333-4333-8333-333333333333"))
    assert repo.uuid == "33333333-3333-4333-8333-333333333333"


def test_the_default_description(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    assert default_description(repo) == f"{who}:{repo.path}"
    monkeypatch.setenv("HOME", os.path.dirname(repo.path))
    assert default_description(repo) == f"{who}:~/repo"
    monkeypatch.setenv("HOME", repo.path)
    assert default_description(repo) == f"{who}:~"


def test_noannex_forbids_it(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "repo" / ".noannex").write_text("because\n")
    with pytest.raises(InitPrevented, match=r"\.noannex file \(remove the file to override\): be"):
        initialise(repo)
    assert not repo.is_initialised
    assert repo.branch.tip is None


def test_a_hook_can_forbid_it(repo: Repository) -> None:
    repo.config.set("annex.pre-init-command", "false")
    with pytest.raises(InitPrevented, match="pre-init-annex hook"):
        initialise(repo)


def _hooks(path: Path) -> set[str]:
    return {name for name in os.listdir(path / "hooks") if not name.endswith(".sample")}


def test_hooks_and_filter_call_git_annex_where_it_is(repo: Repository, tmp_path: Path) -> None:
    _install_git_annex(tmp_path)
    assert initialise(repo) == []
    gitdir = tmp_path / "repo" / ".git"
    assert _hooks(gitdir) == {hook.name for hook in HOOKS}
    for hook in HOOKS:
        assert (gitdir / "hooks" / hook.name).read_text() == hook.script
        assert stat.S_IMODE((gitdir / "hooks" / hook.name).stat().st_mode) == 0o755
    assert repo.config.get("filter.annex.smudge") == "git-annex smudge -- %f"
    assert repo.config.get("filter.annex.clean") == "git-annex smudge --clean -- %f"
    assert repo.config.get("filter.annex.process") == "git-annex filter-process"
    assert repo.config.get("alias.annex") is None
    attributes = (gitdir / "info" / "attributes").read_bytes()
    assert attributes.endswith(b"\n* filter=annex\n")
    initialise(repo)
    assert (gitdir / "info" / "attributes").read_bytes() == attributes


def test_in_a_bare_repository_there_is_one_hook(tmp_path: Path) -> None:
    _install_git_annex(tmp_path)
    repo = _make(tmp_path / "bare", "--bare")
    initialise(repo)
    assert _hooks(tmp_path / "bare") == {"pre-push"}
    assert repo.config.get("filter.annex.clean") is None
    assert not (tmp_path / "bare" / "info" / "attributes").exists()


def test_hooks_call_shoal_where_git_annex_is_missing(repo: Repository, tmp_path: Path) -> None:
    path = tmp_path / "repo"
    shoal = tmp_path / "tools" / "shoal"
    shoal.write_text('#!/bin/sh\necho "$*" >> "$HOME/calls"\ncase "$1" in smudge) cat;; esac\n')
    shoal.chmod(0o755)
    initialise(repo, own_commands=_ALL - {"filter-process"} | {"filter-process"})
    assert _hooks(path / ".git") == {hook.name for hook in HOOKS}
    git(path, "config", "--unset", "filter.annex.process")  # the stand-in cannot speak it
    (path / "file").write_text("x")
    git(path, "add", "file")
    git(path, "commit", "-q", "-m", "one")
    calls = (tmp_path / "home" / "calls").read_text().splitlines()
    assert "smudge --clean -- file" in calls
    assert "pre-commit ." in calls
    (tmp_path / "home" / "calls").unlink()
    _install_git_annex(tmp_path)  # git prefers it to the alias
    git(path, "commit", "-q", "--allow-empty", "-m", "two")
    assert "git-annex pre-commit ." in (tmp_path / "home" / "calls").read_text()


def test_no_hook_calls_what_nobody_has(repo: Repository, tmp_path: Path) -> None:
    initialise(repo, own_commands={"post-receive", "init"})
    assert _hooks(tmp_path / "repo" / ".git") == {"post-receive"}
    assert repo.config.get("filter.annex.clean") is None
    assert not (tmp_path / "repo/.git/info/attributes").exists()
    git(tmp_path / "repo", "commit", "-q", "--allow-empty", "-m", "still works")
    assert repo.config.get("alias.annex") == "!shoal"


def test_the_users_hooks_and_attributes_are_left_alone(repo: Repository, tmp_path: Path) -> None:
    _install_git_annex(tmp_path)
    hooks = tmp_path / "repo" / ".git" / "hooks"
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 0\n")
    (hooks / "post-receive").write_text(next(iter(HOOKS[1].old_scripts)))
    (tmp_path / "repo" / ".gitattributes").write_text("*.x filter=annex\n")
    (warning,) = initialise(repo)
    assert warning == f"pre-commit hook ({hooks / 'pre-commit'}) already exists, not configuring"
    assert (hooks / "pre-commit").read_text() == "#!/bin/sh\nexit 0\n"
    assert (hooks / "post-receive").read_text() == HOOKS[1].script
    assert not (tmp_path / "repo/.git/info/attributes").exists()


def test_without_unlocked_files_there_is_no_filter(repo: Repository, tmp_path: Path) -> None:
    _install_git_annex(tmp_path)
    repo.config.set("annex.supportunlocked", "false")
    initialise(repo)
    assert repo.config.get("filter.annex.clean") is None


def test_a_clone_inherits_the_branch_and_tuning(repo: Repository, tmp_path: Path) -> None:
    repo.config.set("annex.tune.objecthashlower", "true")
    initialise(repo, "first")
    recorded = on_branch(tmp_path / "repo")["difference.log"]
    assert recorded.startswith(f"{repo.uuid} fromList [ObjectHashLower] timestamp=")
    git(tmp_path / "repo", "commit", "-q", "--allow-empty", "-m", "x")
    git(tmp_path, "clone", "-q", tmp_path / "repo", "clone")
    clone = Repository.open(tmp_path / "clone")
    ensure_initialised(clone)
    assert clone.config.get_bool("annex.tune.objecthashlower", False)
    assert set(clone.logs.descriptions()) == {repo.uuid, clone.uuid}
    assert len(on_branch(tmp_path / "clone")["difference.log"].splitlines()) == 2
    ensure_initialised(clone)


def test_a_clone_cannot_choose_another_tuning(repo: Repository, tmp_path: Path) -> None:
    initialise(repo)
    git(tmp_path / "repo", "commit", "-q", "--allow-empty", "-m", "x")
    git(tmp_path, "clone", "-q", tmp_path / "repo", "clone")
    clone = Repository.open(tmp_path / "clone")
    clone.config.set("annex.tune.branchhash1", "true")
    (warning,) = initialise(clone)
    assert warning == "Cannot change tunable parameters in a clone of an existing repository."
    assert "difference.log" not in on_branch(tmp_path / "clone")


def test_a_clone_of_a_remote_that_is_not_origin(repo: Repository, tmp_path: Path) -> None:
    repo.config.set("annex.tune.branchhash1", "true")
    initialise(repo)
    git(tmp_path / "repo", "commit", "-q", "--allow-empty", "-m", "x")
    git(tmp_path, "clone", "-q", "-o", "other", tmp_path / "repo", "clone")
    clone = Repository.open(tmp_path / "clone")
    ensure_initialised(clone)
    assert clone.branch_hash_levels == 1
    assert set(clone.logs.descriptions()) == {repo.uuid, clone.uuid}


def test_a_shared_clone_is_not_trusted(repo: Repository, tmp_path: Path) -> None:
    initialise(repo)
    git(tmp_path / "repo", "commit", "-q", "--allow-empty", "-m", "x")
    git(tmp_path, "clone", "-q", "--shared", tmp_path / "repo", "clone")
    clone = Repository.open(tmp_path / "clone")
    (warning,) = initialise(clone)
    assert warning.startswith("Repository was cloned with --shared")
    assert clone.logs.trust(clone.uuid) is TrustLevel.UNTRUSTED
    assert clone.config.get_bool("annex.hardlink", False)


def test_settings_for_new_repositories(repo: Repository) -> None:
    repo.config.set("annex.initwanted", "standard")
    repo.config.set("annex.initrequired", "present")
    repo.config.set("annex.initgroups", "backup x")
    initialise(repo)
    assert repo.logs.wanted() == {repo.uuid: "standard"}
    assert repo.logs.required() == {repo.uuid: "present"}
    assert repo.logs.groups() == {repo.uuid: frozenset({"backup", "x"})}
    assert repo.branch.journal.is_empty()


def test_securehashesonly_is_taken_over(repo: Repository, tmp_path: Path) -> None:
    initialise(repo)
    repo.logs.set_config("annex.securehashesonly", "true")
    repo.branch.commit()
    git(tmp_path / "repo", "commit", "-q", "--allow-empty", "-m", "x")
    git(tmp_path, "clone", "-q", tmp_path / "repo", "clone")
    clone = Repository.open(tmp_path / "clone")
    initialise(clone)
    assert clone.config.get_bool("annex.securehashesonly", False)


def test_a_private_repository_stays_out_of_the_branch(repo: Repository, tmp_path: Path) -> None:
    repo.config.set("annex.private", "true")
    initialise(repo, "secret")
    assert repo.logs.descriptions() == {repo.uuid: "secret"}
    assert on_branch(tmp_path / "repo") == {}


def test_a_shared_repository_has_modes_for_the_group(tmp_path: Path) -> None:
    os.umask(0o022)
    repo = _make(tmp_path / "repo", "--shared=group")
    initialise(repo)
    for path, mode in (("annex", 0o775), ("annex/journal", 0o775), ("annex/journal.lck", 0o664)):
        found = stat.S_IMODE((tmp_path / "repo" / ".git" / path).stat().st_mode)
        assert found & 0o777 == mode, path


def test_file_systems_that_lack_something(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = FileSystem(crippled=True, has_locks=False, has_fifos=False)
    monkeypatch.setattr(init_module, "probe", lambda directory: lacking)
    warnings = initialise(repo)
    assert "Enabling annex.pidlock." in warnings
    assert "Detected a crippled filesystem." in warnings
    for key, value in (
        ("annex.pidlock", True), ("annex.sshcaching", False),
        ("annex.crippledfilesystem", True), ("core.symlinks", False),
    ):  # fmt: skip
        assert repo.config.find_bool(key) is value
    assert not os.path.exists(repo.annex_path("pidlock"))


def test_probing_leaves_nothing_behind(tmp_path: Path) -> None:
    directory = tmp_path / "probe"
    directory.mkdir()
    assert probe(str(directory)) == FileSystem(crippled=False, has_locks=True, has_fifos=True)
    assert list(directory.iterdir()) == []


def test_where_git_annex_never_was(repo: Repository) -> None:
    with pytest.raises(NotARepository, match="First run: git-annex init"):
        ensure_initialised(repo)


@pytest.mark.parametrize(("have", "lack"), [("uuid", "version"), ("version", "uuid")])
def test_half_of_the_configuration_is_lost(repo: Repository, have: str, lack: str) -> None:
    initialise(repo)
    repo.config.unset(f"annex.{lack}")
    with pytest.raises(NotARepository, match=rf"annex\.{have} set, but annex\.{lack} is not"):
        ensure_initialised(repo)


def test_all_of_the_configuration_is_lost(repo: Repository) -> None:
    initialise(repo)
    os.mkdir(repo.annex_path("objects"))
    repo.config.unset("annex.uuid")
    repo.config.unset("annex.version")
    with pytest.raises(NotARepository, match=r"may have lost its annex\.uuid"):
        ensure_initialised(repo)


def test_a_submodule_gets_a_symlink_to_its_git_directory(tmp_path: Path, repo: Repository) -> None:
    initialise(repo)
    git(tmp_path / "repo", "commit", "-q", "--allow-empty", "-m", "x")
    top = tmp_path / "top"
    _make(top)
    git(top, "submodule", "add", "-q", tmp_path / "repo", "sub")
    sub = Repository.open(top / "sub")
    initialise(sub)
    assert os.readlink(top / "sub" / ".git") == "../.git/modules/sub"
    assert (top / "sub" / ".git" / "annex" / "journal").is_dir()
    assert git(top / "sub", "status", "--porcelain") == ""
    assert Repository.open(top / "sub").uuid == sub.uuid
    assert sub.config.get("core.worktree") is None


def test_a_linked_work_tree_gets_symlinks(tmp_path: Path, repo: Repository) -> None:
    initialise(repo)
    git(tmp_path / "repo", "commit", "-q", "--allow-empty", "-m", "x")
    git(tmp_path / "repo", "worktree", "add", "-q", tmp_path / "linked")
    linked = Repository.open(tmp_path / "linked")
    initialise(linked)
    assert os.readlink(tmp_path / "linked" / ".git") == "../repo/.git/worktrees/linked"
    assert (tmp_path / "linked" / ".git" / "annex" / "journal").is_dir()
    assert linked.uuid == repo.uuid
    assert git(tmp_path / "linked", "status", "--porcelain") == ""
    assert Repository.open(tmp_path / "linked").annex_dir == repo.annex_dir

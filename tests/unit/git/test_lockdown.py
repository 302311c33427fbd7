"""What the lockdown says of other versions of the git-annex branch."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.git.lockdown import Lockdown, is_locked, may_be_merged
from shoal.git.lockdownhook import install
from shoal.git.repository import Repository
from tests.support.gitrepo import BRANCH, HERE, git, make_repository, on_branch, put_on_branch, to

CLUSTER = "ac444444-4444-8444-8444-444444444444"
NODE = "22222222-2222-4222-8222-222222222222"
OURS = {
    "cluster.log": f"1s {CLUSTER} {NODE}\n",
    "maxsize.log": f"1s {NODE} 100\n",
    "uuid.log": f"{NODE} node timestamp=1s\n",
}
SYNCED = "refs/heads/synced/git-annex"


@pytest.fixture
def repository(tmp_path: Path, close_repositories: None) -> Repository:
    path = tmp_path / "repo"
    make_repository(path)
    for name, value in {
        "annex.cluster-lockdown": "true",
        "annex.cluster.mycluster": CLUSTER,
        "remote.disk.annex-uuid": NODE,
        "remote.disk.annex-cluster-node": "mycluster",
        "remote.disk.url": "/nowhere",
    }.items():
        git(path, "config", name, value)
    put_on_branch(path, OURS)
    return Repository.open(path)


def refusal(repository: Repository, ref: str, files: dict[str, str]) -> str | None:
    commit = put_on_branch(Path(repository.path), files, ref="refs/heads/pushed")
    lockdown = Lockdown(repository)
    try:
        return lockdown.refusal(ref, commit)
    finally:
        lockdown.close()


def test_which_refs_are_judged() -> None:
    assert may_be_merged(BRANCH)
    assert may_be_merged("refs/tags/x/git-annex")
    assert not may_be_merged("refs/heads/main")


def test_location_logs_pass(repository: Repository) -> None:
    more = {"abc/def/KEY.log": f"1s 1 {NODE}\n", "group.log": f"{HERE[::-1]} x timestamp=1s\n"}
    assert refusal(repository, SYNCED, {**OURS, **more}) is None
    assert refusal(repository, BRANCH, {**OURS, **more}) is None
    assert refusal(repository, SYNCED, more) is None  # an old version changes nothing in a merge


def test_a_version_that_lacks_configuration_does_not_replace_the_branch(
    repository: Repository,
) -> None:
    assert refusal(repository, BRANCH, {"maxsize.log": OURS["maxsize.log"]}) == (
        "git-annex changes the nodes of cluster mycluster (cluster.log); with "
        "annex.cluster-lockdown this needs a commit signed by a key in gpg.ssh.allowedSignersFile"
    )


def test_changes_are_named(repository: Repository) -> None:
    changed = {
        "maxsize.log": f"2s {NODE} 5\n",
        "trust.log": f"{HERE} X timestamp=1s\n",
        "numcopies.log": "1s 5\n",
        "mincopies.log": "1s 5\n",
    }
    cause = refusal(repository, SYNCED, changed)
    assert cause is not None
    assert cause.startswith(
        "synced/git-annex changes the maximum size of disk (maxsize.log), the trust of this "
        "gateway (trust.log), the number of copies (numcopies.log) and 1 more; "
    )


def test_what_is_journalled_counts(repository: Repository) -> None:
    repository.branch.change("maxsize.log", to(f"3s {NODE} 7\n".encode()))
    assert refusal(repository, SYNCED, {"maxsize.log": f"2s {NODE} 5\n"}) is None
    assert refusal(repository, SYNCED, {"maxsize.log": f"4s {NODE} 5\n"}) is not None


def test_what_is_no_commit(repository: Repository) -> None:
    blob = git(Path(repository.path), "hash-object", "-w", "--stdin", data=b"x")
    lockdown = Lockdown(repository)
    assert lockdown.refusal(SYNCED, blob) == "synced/git-annex is no commit"
    assert lockdown.refusal(SYNCED, "0" * 40) is None
    assert lockdown.refusal(BRANCH, "0" * 40) == "the git-annex branch must not be deleted"
    lockdown.close()


def test_merges_leave_out_what_is_refused_and_say_so_once(
    repository: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(repository.path)
    put_on_branch(path, {"maxsize.log": f"2s {NODE} 5\n"}, ref="refs/remotes/bad/git-annex")
    put_on_branch(path, {"a.log": f"1s 1 {NODE}\n"}, ref="refs/remotes/good/git-annex")
    repository.refresh()
    put_on_branch(path, {"b.log": f"1s 1 {NODE}\n"}, ref="refs/remotes/late/git-annex")
    repository.refresh()
    assert repository.branch.read("maxsize.log").decode() == OURS["maxsize.log"]
    assert {"a.log", "b.log"} <= set(on_branch(path))
    (warning,) = caplog.messages
    assert warning.startswith("bad/git-annex is not merged: bad/git-annex changes the maximum")


def test_the_hook_goes_where_git_looks(repository: Repository, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    git(Path(repository.path), "config", "core.hooksPath", str(hooks))
    assert install(repository) == ["Installed the pre-receive hook that keeps cluster "
                                   "configuration locked."]  # fmt: skip
    assert (hooks / "pre-receive").stat().st_mode & 0o100
    assert install(repository) == []


def test_a_second_hook_of_the_user_s_is_not_lost(repository: Repository) -> None:
    hook = Path(repository.path) / "hooks" / "pre-receive"
    hook.write_text("first")
    install(repository)
    hook.write_text("second")
    with pytest.raises(FileExistsError):
        install(repository)
    assert hook.read_text() == "second"
    assert hook.with_name("pre-receive.own").read_text() == "first"


def test_no_hook_without_the_setting(repository: Repository) -> None:
    git(Path(repository.path), "config", "annex.cluster-lockdown", "false")
    repository.refresh_config()
    assert install(repository) == []
    assert not (Path(repository.path) / "hooks" / "pre-receive").exists()


@pytest.mark.parametrize(
    ("value", "locked"), [("yes", True), ("ture", True), ("0", False), ("", False)]
)
def test_a_value_that_makes_no_sense_leaves_nothing_open(
    repository: Repository, value: str, locked: bool
) -> None:
    git(Path(repository.path), "config", "annex.cluster-lockdown", value)
    repository.refresh_config()
    assert is_locked(repository) is locked
    said = [text for text in install(repository) if "neither true nor false" in text]
    assert len(said) == (value == "ture")
    assert install(repository) == said  # also when the hook is there


def test_not_set_is_not_locked(repository: Repository) -> None:
    git(Path(repository.path), "config", "--unset", "annex.cluster-lockdown")
    repository.refresh_config()
    assert not is_locked(repository)

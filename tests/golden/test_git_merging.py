"""Merging other git-annex branches: vectors of git-annex 10.20261026, through real git."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoal.git.merging import MergeRefused
from shoal.git.repository import Repository
from shoal.git.transitioning import forget
from shoal.logs.transitions import Transition
from tests.support.gitrepo import BRANCH, git, make_repository, put_on_branch

pytestmark = pytest.mark.usefixtures("close_repositories")
_FIXTURES = Path(__file__).parents[1] / "fixtures" / "on-disk"
_MERGES: dict[str, Any] = json.loads((_FIXTURES / "branch-merge.json").read_text())
_TRANSITIONS: dict[str, Any] = json.loads((_FIXTURES / "transitions.json").read_text())
_REMOTE = "refs/remotes/o/git-annex"
_DEAD = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "repo"


@pytest.fixture
def repo(path: Path) -> Repository:
    return make_repository(path)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")


def _content(path: Path, ref: str) -> dict[str, bytes]:
    with Repository.open(path) as repository:
        commit = git(path, "rev-parse", ref)
        found = {}
        for name in repository.branch.paths(commit):
            blob = repository.cat_file.read(f"{commit}:{name}".encode())
            assert blob is not None
            found[name] = blob.content
        return found


def test_unrelated_branches_are_merged_file_by_file(repo: Repository, path: Path) -> None:
    here: dict[str, bytes] = {}
    there: dict[str, bytes] = {}
    expected: dict[str, bytes] = {}
    for number, case in enumerate(_MERGES["cases"]):
        name = f"{number:03x}/aaa/file {number}.log"
        for side, files in (("local", here), ("remote", there), ("merged", expected)):
            content = _bytes(case[side])
            if content is not None:
                files[name] = content
    put_on_branch(path, here)
    put_on_branch(path, there, ref=_REMOTE)
    assert repo.branch.update()
    assert _content(path, BRANCH) == expected
    assert dict(repo.branch.scan()) == expected


def test_a_fast_forward_takes_the_content_verbatim(repo: Repository, path: Path) -> None:
    case = _MERGES["fast_forward"]
    tip = put_on_branch(path, {"x.log": case["local"]})
    theirs = put_on_branch(path, {"x.log": case["remote"]}, ref=_REMOTE, parents=(tip,))
    repo.branch.update()
    assert git(path, "rev-parse", BRANCH) == theirs
    assert repo.branch.read("x.log") == case["merged"].encode()


def test_two_branches_are_merged_in_one_commit(repo: Repository, path: Path) -> None:
    case = _MERGES["octopus"]
    parents = [put_on_branch(path, {"x.log": case["local"]})]
    for number, content in enumerate(case["remotes"], start=1):
        ref = f"refs/remotes/o{number}/git-annex"
        parents.append(put_on_branch(path, {"x.log": content}, ref=ref))
    repo.branch.update()
    assert repo.branch.read("x.log") == case["merged"].encode()
    shown = git(path, "log", "-1", "--format=%P%n%s", BRANCH).split("\n")
    assert shown == [" ".join(parents), case["message"]]


def _forget(
    repo: Repository, monkeypatch: pytest.MonkeyPatch, clock: str, *made: Transition
) -> None:
    monkeypatch.setenv("GIT_ANNEX_VECTOR_CLOCK", clock)
    forget(repo, made)


def test_forgetting_the_dead(repo: Repository, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vector = _TRANSITIONS["forget_drop_dead"]
    put_on_branch(path, vector["before"])
    _forget(repo, monkeypatch, vector["clock"], *Transition)
    assert _content(path, BRANCH) == {p: text.encode() for p, text in vector["after"].items()}
    assert dict(repo.branch.scan()) == _content(path, BRANCH)
    # The exported tree of the vector is the empty one, which every git knows.
    subjects = git(path, "log", "--format=%s", BRANCH).split("\n")
    assert subjects == [line.split("|")[0] for line in vector["log"]]


def test_forgetting_history_keeps_exported_trees(
    repo: Repository, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector = _TRANSITIONS["forget"]
    tree = git(path, "mktree", data=b"")
    files = {"uuid.log": "u\n", "export.log": f"1s {_DEAD}:{_DEAD[:-1]}2 {tree}\n"}
    old = put_on_branch(path, files)
    _forget(repo, monkeypatch, "100s", Transition.FORGET_GIT_HISTORY)
    log = git(path, "log", "--format=%s|%P", BRANCH).split("\n")
    assert [line.split("|")[0] for line in log] == [line.split("|")[0] for line in vector["log"]]
    assert log[-1].endswith("|")  # no parent: the history is gone
    assert old not in "".join(log)
    assert git(path, "ls-tree", f"{BRANCH}^", "export.tree").split()[2] == tree
    assert _content(path, BRANCH) == {
        "uuid.log": b"u\n",
        "export.log": files["export.log"].encode(),
        "transitions.log": vector["transitions.log"].encode(),
    }


def test_a_branch_that_forgot_is_followed(repo: Repository, path: Path) -> None:
    vector = _TRANSITIONS["remote_transitioned_local_not"]
    groups = f"{_DEAD} a timestamp=1s\n22222222-2222-4222-8222-222222222222 b timestamp=1s\n"
    old = put_on_branch(path, {"group.log": groups, "numcopies.log": "1s 2\n"})
    theirs = put_on_branch(
        path,
        {"trust.log": f"{_DEAD} X timestamp=1s\n", "transitions.log": vector["transitions.log"]},
        ref=_REMOTE,
    )
    repo.branch.update()
    content = _content(path, BRANCH)
    assert content["group.log"] == vector["group.log"].encode()
    assert content["transitions.log"] == vector["transitions.log"].encode()
    assert content["numcopies.log"] == b"1s 2\n"
    history = git(path, "rev-list", BRANCH).split("\n")
    assert theirs in history
    assert old not in history
    subjects = git(path, "log", "--format=%s", BRANCH).split("\n")
    assert "continuing transition forget git history, forget dead remotes" in subjects
    assert old in (path / "annex" / "ignoredrefs").read_text()
    assert not repo.branch.update()


def test_a_branch_that_did_not_forget_is_merged_by_content_only(
    repo: Repository, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector = _TRANSITIONS["local_transitioned_remote_not"]
    put_on_branch(path, {"uuid.log": "1 here timestamp=1s\n"})
    _forget(repo, monkeypatch, "100s", Transition.FORGET_GIT_HISTORY)
    theirs = put_on_branch(path, {"uuid.log": "2 there timestamp=1s\n"}, ref=_REMOTE)
    repo.branch.update()
    merged = b"1 here timestamp=1s\n2 there timestamp=1s\n"
    assert (repo.branch.read("uuid.log") == merged) is vector["remote_content_merged"]
    history = git(path, "rev-list", BRANCH).split("\n")
    assert (theirs in history) is vector["remote_ref_is_parent"]
    ignored = (path / "annex" / "ignoredrefs").read_text().split()
    assert (theirs in ignored) is vector["remote_ref_in_ignoredrefs"]
    assert not repo.branch.update()


def test_an_unknown_transition_is_refused(repo: Repository, path: Path) -> None:
    tip = put_on_branch(path, {"uuid.log": "u\n"})
    put_on_branch(path, {"transitions.log": "ForgetEverything 5s\n"}, ref=_REMOTE)
    with pytest.raises(MergeRefused, match="unknown transitions listed in o/git-annex; upgrade"):
        repo.branch.update()
    assert git(path, "rev-parse", BRANCH) == tip

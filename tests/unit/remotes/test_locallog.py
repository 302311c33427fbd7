"""What a repository on this machine records when content comes and goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.remotes.local import LocalRemote
from shoal.values.key import Key
from tests.support.annexrepo import HERE, git, key_of
from tests.support.localnode import Node
from tests.support.loop import in_loop
from tests.unit.remotes.contract import CALLER, SMALL, put, read


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@in_loop
async def test_changes_are_logged_before_they_are_answered(node: Node) -> None:
    """In the journal; then the owner is told, and has it committed."""
    key = await put(node.remote, SMALL)
    assert node.log(key) == f"1 {HERE}"
    assert node.changes == 1
    await node.remote.commit()
    assert node.files("journal") == []
    assert "1 " + HERE in git(node.path, "show", f"git-annex:{_log_path(node, key)}")
    await node.remote.remove(key, caller=CALLER)
    assert node.log(key) == f"0 {HERE}"
    assert node.changes == 2
    await node.remote.aclose()


def _log_path(node: Node, key: Key) -> str:
    listed = git(node.path, "ls-tree", "-r", "--name-only", "git-annex").split()
    return next(path for path in listed if str(key) in path)


@in_loop
async def test_no_log_is_made_for_what_never_was_there(node: Node) -> None:
    """But one that says that it is here is corrected."""
    key = key_of(SMALL)
    assert (await node.remote.remove(key, caller=CALLER)).removed
    assert node.log(key) == ""
    node.repository.logs.set_location(key, HERE, True)
    assert (await node.remote.remove(key, caller=CALLER)).removed
    assert node.log(key) == f"0 {HERE}"
    await node.remote.aclose()


@in_loop
async def test_a_private_repository_says_nothing_in_public(tmp_path: Path) -> None:
    """annex.private: the log is in the private journal."""
    node = Node(tmp_path, {"annex.private": "true"})
    await put(node.remote, SMALL)
    assert node.files("journal") == []
    assert len(node.files("journal-private")) == 1
    await node.remote.aclose()


@in_loop
async def test_the_hook_runs_after_changes(tmp_path: Path) -> None:
    """hooks/annex-content, for a repository that is served by the shell."""
    node = Node(tmp_path)
    hook = node.path / "hooks" / "annex-content"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\npwd >> {tmp_path}/ran\n")
    hook.chmod(0o755)
    remote = LocalRemote(str(node.path), HERE, content_hook=True)
    key = await put(remote, SMALL)
    await remote.aclose()
    assert (tmp_path / "ran").read_text() == f"{node.path}\n"
    remote = LocalRemote(str(node.path), HERE, content_hook=True)
    await read(remote, key)
    await remote.aclose()
    assert (tmp_path / "ran").read_text() == f"{node.path}\n"
    await node.remote.aclose()

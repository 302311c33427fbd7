"""Repositories below a directory: which count, and that changes are noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.git.process import Git
from shoal.server.finding import Finder
from tests.support.world import World


def make(world: World, path: Path, uuid: str | None, *options: str) -> Path:
    world.run("git", "init", "-q", *options, path)
    if uuid is not None:
        world.git(path, "config", "annex.uuid", uuid)
    return path


def found(top: Path) -> dict[str, str]:
    look = Finder((str(top),)).look()
    return {str(each.uuid): str(Path(each.path).relative_to(top)) for each in look}


def test_which_directories_are_repositories(world: World) -> None:
    top = world.root / "top"
    outside = world.root / "outside"
    for path in (top / "a" / "deep", top / ".hidden", outside):
        path.mkdir(parents=True)
    make(world, top / "one", "u-one")
    make(world, top / "a" / "deep" / "two", "u-two")
    make(world, top / "three.git", "u-three", "--bare")
    make(world, top / ".hidden" / "four", "u-four")
    make(world, top / "five", "u-five", f"--separate-git-dir={world.root}/five.git")
    make(world, top / "one" / "inner", "u-inner")
    make(world, top / "plain", None)
    make(world, top / "plain" / "inner", "u-inner2")
    linked = make(world, outside / "linked", "u-linked")
    make(world, outside / "six", "u-six")
    (top / "link").symlink_to(linked)
    (top / "directory").symlink_to(outside)
    (top / "loop").symlink_to(top)
    (top / "broken").symlink_to("nowhere")
    (top / "itself").symlink_to("itself")
    assert found(top) == {
        "u-one": "one",
        "u-two": "a/deep/two",
        "u-three": "three.git",
        "u-four": ".hidden/four",
        "u-five": "five",
        "u-linked": "link",
    }


def test_a_linked_work_tree_has_its_repository_s_uuid(world: World) -> None:
    top = world.root / "top"
    top.mkdir()
    main = make(world, world.root / "main", "u-main")
    world.git(main, "commit", "-q", "--allow-empty", "-m", "start")
    world.git(main, "worktree", "add", "-q", top / "tree")
    assert found(top) == {"u-main": "tree"}


def test_the_directory_itself_may_be_a_repository(world: World) -> None:
    repo = make(world, world.root / "repo", "u-repo")
    assert found(repo) == {"u-repo": "."}


def test_changes_are_noticed(world: World) -> None:
    top = world.root / "top"
    top.mkdir()
    finder = Finder((str(top),))
    assert finder.look() == []
    repo = make(world, top / "one", None)
    assert finder.look() == []
    world.git(repo, "config", "annex.uuid", "u-one")
    (first,) = finder.look()
    assert (first.uuid, first.may_serve_others) == ("u-one", False)
    world.git(repo, "config", "annex.cluster.c", "ac10ce7d-6f93-8a45-96e1-16e888566d43")
    (changed,) = finder.look()
    assert changed.may_serve_others
    repo.rename(world.root / "away")
    assert finder.look() == []


def test_what_did_not_change_is_not_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = world.root / "top"
    top.mkdir()
    make(world, top / "one", "u-one")
    finder = Finder((str(top),))
    before = finder.look()

    def refuse(self: Git, *words: str) -> object:
        raise AssertionError(f"git was asked again: {words}")

    monkeypatch.setattr(Git, "ask", refuse)
    assert finder.look() == before


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Finder((str(tmp_path / "none"),)).look()

"""Fixtures for every test: an empty HOME of its own, and repositories made there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.git.repository import Place, Repository
from tests.support.world import World, isolated_environment


def pytest_configure() -> None:
    """Let interrupts work. What a script starts in the background has them ignored, and so would
    all programs that tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's configuration, and none can change it. Modes of files are those of
    most users."""
    os.umask(0o022)
    home = tmp_path / "home"
    home.mkdir()
    for name, value in isolated_environment(home).items():
        monkeypatch.setenv(name, value)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_ANNEX_VECTOR_CLOCK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A directory with helpers to make git-annex repositories with the real program."""
    return World(tmp_path / "world")


@pytest.fixture(scope="module")
def module_patch() -> Iterator[pytest.MonkeyPatch]:
    """Changes that last as long as the tests of one file."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def shared_world(
    tmp_path_factory: pytest.TempPathFactory, module_patch: pytest.MonkeyPatch
) -> World:
    """A world for all tests of one file, for what takes long to make. Each test uses names of
    its own in it."""
    home = tmp_path_factory.mktemp("home")
    for name, value in isolated_environment(home).items():
        module_patch.setenv(name, value)
    return World(home / "world")


@pytest.fixture
def close_repositories(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close every repository that the test opened, so that no git process is left running."""
    opened: list[Repository] = []
    real = Repository.__init__

    def remember(self: Repository, place: Place) -> None:
        real(self, place)
        opened.append(self)

    monkeypatch.setattr(Repository, "__init__", remember)
    yield
    for repository in opened:
        repository.close()

"""Settings of a gateway, and looking at its repository again and again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from shoal.errors import ConfigError
from shoal.gateway.patience import Limits
from shoal.gateway.select import Full, Unwanted
from shoal.gateway.served import Glance, Served, full_of, limits_of, unwanted_of
from shoal.git.repository import Repository
from shoal.values.uuid import UUID
from tests.support.loop import in_loop, until
from tests.support.world import World


@pytest.fixture
def path(world: World) -> Path:
    path = world.root / "repo"
    world.run("git", "init", "-q", path)
    world.git(path, "config", "annex.uuid", "22222222-2222-4222-8222-222222222222")
    world.git(path, "config", "annex.version", "10")
    return path


def test_limits_are_configurable(world: World, path: Path) -> None:
    with Repository.open(path) as repository:
        assert limits_of(repository.config) == Limits()
        for name, value in (("answer", "2.5"), ("stall", "3"), ("finish", "4")):
            repository.config.set(f"shoal.node-{name}-time", value)
        expected = replace(Limits(), answer=2.5, stall=3.0, finish=4.0)
        assert limits_of(repository.config) == expected


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan"])
def test_limits_that_make_no_sense_are_ignored(path: Path, value: str) -> None:
    with Repository.open(path) as repository:
        repository.config.set("shoal.node-stall-time", value)
        assert limits_of(repository.config) == Limits()


def test_what_to_do_with_unwanted_content_is_configurable(path: Path) -> None:
    with Repository.open(path) as repository:
        assert unwanted_of(repository.config) is Unwanted.ALL
        for policy in Unwanted:
            repository.config.set("shoal.unwanted", policy.value)
            assert unwanted_of(repository.config) is policy
        repository.config.set("shoal.unwanted", "some")
        with pytest.raises(ConfigError, match="it must be all, one or none"):
            unwanted_of(repository.config)


def test_what_to_do_when_all_are_full_is_configurable(path: Path) -> None:
    with Repository.open(path) as repository:
        assert full_of(repository.config) is Full.REFUSE
        for policy in Full:
            repository.config.set("shoal.full", policy.value)
            assert full_of(repository.config) is policy
        repository.config.set("shoal.full", "some")
        with pytest.raises(ConfigError, match="it must be refuse or store"):
            full_of(repository.config)


@in_loop
async def test_what_a_killed_process_journalled_is_committed(world: World, path: Path) -> None:
    uuid = UUID(world.git(path, "config", "annex.uuid"))
    with Repository.open(path) as killed:
        killed.logs.set_description(uuid, "found in the journal")
    served = Served(Repository.open(path))
    await served.remote(uuid)
    await served.aclose()
    assert "found in the journal" in world.git(path, "cat-file", "-p", "git-annex:uuid.log")
    assert served.log_has_changed


class CountingRepository(Repository):
    """Counts the thorough looks."""

    looks = 0

    def refresh(self) -> bool:
        self.looks += 1
        return super().refresh()


def test_a_glance_is_thorough_now_and_then_and_whenever_something_changed(
    world: World, path: Path
) -> None:
    now = 0.0
    with CountingRepository.open(path) as repository:
        glance = Glance(repository, lambda: now)
        glance.refresh()
        looks = repository.looks
        now += 30  # seconds; by then git config counts as settled
        world.git(path, "config", "annex.jobs", "7")
        glance.refresh()
        assert repository.config.get("annex.jobs") == "7"
        assert repository.looks > looks
        repository.branch.change("x.log", lambda old: b"text\n")
        repository.branch.commit()
        looks = repository.looks
        glance.refresh()
        assert repository.looks == looks + 1


def test_a_glance_holds_for_a_moment(world: World, path: Path) -> None:
    now = 0.0
    with CountingRepository.open(path) as repository:
        glance = Glance(repository, lambda: now)
        while not glance.is_fresh():
            repository.refresh()  # until the files are old enough to tell a change by their time
            glance.refresh()
        world.git(path, "config", "annex.jobs", "7")
        now += 0.001
        assert glance.is_fresh()
        now += 0.002
        assert not glance.is_fresh()


def test_a_glance_in_between_finds_nothing_to_do(path: Path) -> None:
    with CountingRepository.open(path) as repository:
        glance = Glance(repository, lambda: 0.0)
        while repository.config.may_have_changed():
            repository.refresh()  # until the files are old enough to tell a change by their time
        glance.refresh()
        looks = repository.looks
        for _ in range(5):
            glance.refresh()
        assert repository.looks == looks


def _settle(repository: CountingRepository, glance: Glance) -> None:
    """Look until the files are old enough to tell a change by their time."""
    while not glance.is_fresh():
        repository.refresh()
        glance.refresh()


def test_a_glance_counts_longer_while_a_new_one_is_taken(path: Path) -> None:
    now = 0.0
    with CountingRepository.open(path) as repository:
        glance = Glance(repository, lambda: now)
        _settle(repository, glance)
        assert not glance.is_due
        now += 0.2
        assert glance.is_due
        assert not glance.is_fresh()
        assert glance.is_fresh(meanwhile=1.0)
        looks = repository.looks
        glance.refresh()
        assert repository.looks == looks + 1
        assert not glance.is_due
        now += 1.2
        assert not glance.is_fresh(meanwhile=1.0)


def test_a_glance_counts_longer_while_others_are_busy_with_the_branch(path: Path) -> None:
    now = 0.0
    found: list[bool] = []

    def ask(paths: frozenset[str] | None) -> None:  # another thread, while this one has the lock
        nonlocal now
        with ThreadPoolExecutor(1) as other:
            for moment in (0.01, 0.02, 0.07):
                now = moment
                for meanwhile in (0.0, 0.05):
                    found.append(other.submit(glance.is_fresh, meanwhile).result())

    with CountingRepository.open(path) as repository:
        glance = Glance(repository, lambda: now)
        _settle(repository, glance)
        repository.branch.changes.on_change(ask)
        repository.branch.change("x.log", lambda old: b"text\n")
    assert found == [False, True, False, True, False, False]


@in_loop
async def test_nobody_waits_for_a_look_that_is_taken_in_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.gateway.served._JOURNAL_AGE", 0.0)
    monkeypatch.setattr("shoal.gateway.served._JOURNAL_SHARE", 0.0)
    monkeypatch.setattr("shoal.gateway.served._MEANWHILE", 60.0)
    repository = CountingRepository.open(path)
    served = Served(repository)
    own = await served.remote(repository.uuid)
    while served.remote_at_once(repository.uuid) is not own:
        await served.remote(repository.uuid)  # until the files are old enough
    for _ in range(3):
        repository.looks = 0

        def looks_meanwhile() -> bool:  # the last look may still be under way
            assert served.remote_at_once(repository.uuid) is own
            return repository.looks > 0

        await until(looks_meanwhile)
    served.remote_at_once(repository.uuid)  # the end waits for what that began
    await served.aclose()

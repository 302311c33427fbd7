"""Which repository serves a UUID, while repositories and remotes come and go."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shoal.errors import NotARepository
from shoal.server.finding import Finder, Found
from shoal.server.repositories import OneRepository, RepositoriesBelow
from shoal.server.target import Site
from shoal.values.uuid import UUID
from tests.support.loop import in_loop
from tests.support.memory_remote import MemoryRemote
from tests.support.served import FixedSite


class FakeFinder(Finder):
    """Finds what a test says is there."""

    def __init__(self) -> None:
        super().__init__(())
        self.there: list[Found] = []
        self.looks = 0
        self.error: OSError | None = None

    def look(self) -> list[Found]:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return list(self.there)


class Disk:
    """Repositories that can be opened, by path."""

    def __init__(self) -> None:
        self.finder = FakeFinder()
        self.sites: dict[str, FixedSite] = {}
        self.opened: list[str] = []
        self.gate: asyncio.Event | None = None

    def make(self, name: str, *others: str, gateway: bool = False) -> FixedSite:
        """Make a repository with UUID u-NAME that also serves `others`."""
        uuids = [UUID(f"u-{name}"), *map(UUID, others)]
        path = f"/{name}"
        self.finder.there.append(Found(path, uuids[0], gateway))
        self.sites[path] = FixedSite({uuid: MemoryRemote(uuid=uuid) for uuid in uuids}, 4)
        return self.sites[path]

    def take_away(self, name: str) -> None:
        self.finder.there = [each for each in self.finder.there if each.path != f"/{name}"]
        site = self.sites.pop(f"/{name}")
        site.remotes.clear()

    async def open(self, path: str) -> Site:
        self.opened.append(path)
        if self.gate is not None:
            await self.gate.wait()
        if path not in self.sites:
            raise NotARepository(f"not a git repository: {path}")
        return self.sites[path]

    def directory(self, **options: int) -> RepositoriesBelow:
        return RepositoriesBelow(self.finder, self.open, **options)


async def name_of(directory: RepositoriesBelow | OneRepository, uuid: str) -> str | None:
    target = await directory.find(UUID(uuid))
    return None if target is None else target.remote.info.uuid


@in_loop
async def test_one_repository_and_what_it_serves() -> None:
    site = FixedSite({UUID("a"): MemoryRemote(uuid=UUID("a"))}, 4)
    directory = OneRepository(site)
    assert await name_of(directory, "a") == "a"
    assert await name_of(directory, "b") is None
    assert directory.find_at_once(UUID("b")) is None
    site.remotes[UUID("b")] = MemoryRemote(uuid=UUID("b"))
    assert await name_of(directory, "b") == "b"  # without a restart
    assert directory.find_at_once(UUID("b")) is not None
    await directory.aclose()
    assert site.remotes == {}


@in_loop
async def test_repositories_are_opened_when_they_are_asked_for() -> None:
    disk = Disk()
    disk.make("one")
    disk.make("two")
    directory = disk.directory()
    await directory.look()
    assert disk.opened == []
    for _ in range(3):
        assert await name_of(directory, "u-two") == "u-two"
    assert disk.opened == ["/two"]
    assert disk.finder.looks == 1
    await directory.aclose()


@in_loop
async def test_what_is_open_is_found_without_waiting() -> None:
    disk = Disk()
    disk.make("one", "u-cluster", gateway=True)
    disk.make("two")
    directory = disk.directory(most_open=2)
    await directory.look()
    for uuid in ("u-one", "u-cluster", "u-none"):
        assert directory.find_at_once(UUID(uuid)) is None
    assert disk.opened == []
    await name_of(directory, "u-one")
    for uuid in ("u-one", "u-cluster"):
        found = directory.find_at_once(UUID(uuid))
        assert found is not None
        assert found.remote.info.uuid == uuid
        assert found.site is disk.sites["/one"]
    await name_of(directory, "u-two")
    assert directory.find_at_once(UUID("u-one")) is not None  # used later than two
    disk.make("three")
    await directory.look()
    await name_of(directory, "u-three")
    assert directory.find_at_once(UUID("u-two")) is None
    assert directory.find_at_once(UUID("u-one")) is not None
    await directory.aclose()


@in_loop
async def test_new_repositories_are_served_at_once() -> None:
    disk = Disk()
    directory = disk.directory()
    await directory.look()
    assert await name_of(directory, "u-one") is None
    disk.make("one")
    assert await name_of(directory, "u-one") == "u-one"
    await directory.aclose()


@in_loop
async def test_a_repository_that_is_gone_is_not_found() -> None:
    disk = Disk()
    site = disk.make("one")
    directory = disk.directory()
    await directory.look()
    assert await name_of(directory, "u-one") == "u-one"
    disk.take_away("one")
    assert await name_of(directory, "u-one") is None
    assert site.remotes == {}  # closed
    disk.make("one")
    assert await name_of(directory, "u-one") == "u-one"
    await directory.aclose()


@in_loop
async def test_a_repository_that_went_away_before_it_was_opened() -> None:
    disk = Disk()
    disk.make("one")
    directory = disk.directory()
    await directory.look()
    disk.take_away("one")
    assert await name_of(directory, "u-one") is None
    await directory.aclose()


@in_loop
async def test_proxied_remotes_of_any_repository() -> None:
    disk = Disk()
    disk.make("plain", "hidden")
    disk.make("gateway1", "p1", gateway=True)
    second = disk.make("gateway2", "p2", gateway=True)
    directory = disk.directory()
    await directory.look()
    assert await name_of(directory, "p2") == "p2"
    assert await name_of(directory, "p1") == "p1"
    assert await name_of(directory, "hidden") is None
    assert "/plain" not in disk.opened
    second.remotes[UUID("p3")] = MemoryRemote(uuid=UUID("p3"))
    assert await name_of(directory, "p3") == "p3"
    await directory.aclose()


@in_loop
async def test_of_two_with_one_uuid_the_first_is_served() -> None:
    disk = Disk()
    disk.make("one")
    disk.finder.there.append(Found("/copy", UUID("u-one"), False))
    directory = disk.directory()
    await directory.look()
    await directory.find(UUID("u-one"))
    assert disk.opened == ["/one"]
    await directory.aclose()


@in_loop
async def test_one_opening_serves_all_who_wait() -> None:
    disk = Disk()
    disk.make("one")
    disk.gate = asyncio.Event()
    directory = disk.directory()
    await directory.look()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(name_of(directory, "u-one")) for _ in range(5)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        disk.gate.set()
    assert [task.result() for task in waiting[1:]] == ["u-one"] * 4
    assert disk.opened == ["/one"]
    await directory.aclose()


@in_loop
async def test_so_many_are_open_and_no_more_unless_they_are_in_use() -> None:
    disk = Disk()
    for number in range(4):
        disk.make(str(number))
    directory = disk.directory(most_open=2)
    await directory.look()
    first = await directory.find(UUID("u-0"))
    assert first is not None
    with first.site.in_use():
        for number in range(1, 4):
            await directory.find(UUID(f"u-{number}"))
        assert [bool(disk.sites[f"/{number}"].remotes) for number in range(4)] == [
            True,
            False,
            False,
            True,
        ]
    await directory.aclose()


@in_loop
async def test_many_unknown_uuids_cost_few_looks() -> None:
    disk = Disk()
    directory = disk.directory()
    await directory.look()
    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(name_of(directory, f"unknown{number}"))
    assert disk.finder.looks <= 3
    await directory.aclose()


@in_loop
async def test_a_directory_that_goes_away_does_not_end_the_server(
    capfd: pytest.CaptureFixture[str],
) -> None:
    disk = Disk()
    disk.make("one")
    directory = disk.directory()
    await directory.look()
    disk.finder.error = FileNotFoundError(2, "No such file or directory", "/top")
    assert await name_of(directory, "unknown") is None
    assert await name_of(directory, "u-one") == "u-one"
    assert "/top" in capfd.readouterr().err
    await directory.aclose()


@in_loop
async def test_a_repository_that_cannot_be_used_stands_in_no_other_s_way(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    disk = Disk()
    broken = tmp_path / "broken"
    (broken / ".git").mkdir(parents=True)
    disk.finder.there.append(Found(str(broken), UUID("u-broken"), True))
    disk.make("gateway", "proxied", gateway=True)
    directory = disk.directory()
    await directory.look()
    assert await name_of(directory, "proxied") == "proxied"
    assert await name_of(directory, "unknown") is None
    with pytest.raises(NotARepository):
        await directory.find(UUID("u-broken"))
    assert str(broken) in capfd.readouterr().err
    await directory.aclose()

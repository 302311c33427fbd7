"""The repositories that a server serves: one, or all below some directories."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from shoal.errors import ShoalError
from shoal.server.finding import Finder, Found, is_repository
from shoal.server.messages import complain
from shoal.server.target import Directory, Site, Target
from shoal.values.uuid import UUID

OpenSite = Callable[[str], Awaitable[Site]]
"""Opens the repository at a path. Raises ShoalError."""

Place = tuple[str, UUID]
"""A path, and the repository that was found there."""

_MOST_OPEN = 64
"""Repositories that are kept open at once; an open one may have processes and files."""


class OneRepository(Directory):
    """Serves one repository, and what it is a gateway for."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def find(self, uuid: UUID) -> Target | None:
        remote = await self._site.remote(uuid)
        return None if remote is None else Target(remote, self._site)

    def find_at_once(self, uuid: UUID) -> Target | None:
        remote = self._site.remote_at_once(uuid)
        return None if remote is None else Target(remote, self._site)

    async def find_path(self, path: str) -> Site | None:
        return None if path else self._site

    async def aclose(self) -> None:
        await self._site.aclose()


class RepositoriesBelow(Directory):
    """Serves each repository below some directories, opened when it is first asked for.

    Before a UUID counts as unknown the directories are looked through again, so new
    repositories, and new proxied remotes of old ones, are served at once.
    """

    def __init__(self, finder: Finder, open_site: OpenSite, *, most_open: int = _MOST_OPEN) -> None:
        self._finder = finder
        self._open_site = open_site
        self._most_open = most_open
        self._found: dict[UUID, Found] = {}
        self._served_by: dict[UUID, UUID] = {}  # of proxied remotes and clusters
        self._open: OrderedDict[Place, Site] = OrderedDict()  # used last at the end
        self._opening: dict[Place, asyncio.Task[Site]] = {}
        self._looking = asyncio.Lock()
        self._looks = 0  # that were begun
        self._rest_until = 0.0  # of the event loop's clock

    async def look(self) -> None:
        """Look through the directories. Raises OSError when one of them is not there."""
        found = await asyncio.to_thread(self._finder.look)
        self._found = {each.uuid: each for each in reversed(found)}
        there = {(each.path, each.uuid) for each in found}
        for place in [place for place in self._open if place not in there]:
            await self._open.pop(place).aclose()

    async def find(self, uuid: UUID) -> Target | None:
        target = await self._ask(uuid)
        if target is None:
            await self._look_again()
            target = await self._ask(uuid)
        return target

    def find_at_once(self, uuid: UUID) -> Target | None:
        for found in self._candidates(uuid)[:1]:
            place = (found.path, found.uuid)
            site = self._open.get(place)
            remote = None if site is None else site.remote_at_once(uuid)
            if site is not None and remote is not None:
                self._open.move_to_end(place)
                return Target(remote, site)
        return None

    async def find_path(self, path: str) -> Site | None:
        found = self._at(path)
        if found is None:
            await self._look_again()
            found = self._at(path)
        return None if found is None else await self._site((found.path, found.uuid))

    async def aclose(self) -> None:
        if self._opening:
            await asyncio.wait(self._opening.values())
        while self._open:
            _, site = self._open.popitem()
            await site.aclose()

    async def _ask(self, uuid: UUID) -> Target | None:
        for found in self._candidates(uuid):
            try:
                site = await self._site((found.path, found.uuid))
                remote = await site.remote(uuid)
            except (ShoalError, OSError) as error:
                complain(f"{found.path}: {error}")
                if not await asyncio.to_thread(is_repository, found.path):
                    await self._forget(found)
                elif found.uuid == uuid:
                    raise
                continue
            if remote is not None:
                self._served_by[uuid] = found.uuid
                return Target(remote, site)
        return None

    def _at(self, path: str) -> Found | None:
        """Give the repository whose path below its directory is `path`."""
        return next((found for found in self._found.values() if found.below == path), None)

    def _candidates(self, uuid: UUID) -> list[Found]:
        """Give the repositories that may serve `uuid`, the likeliest first."""
        own = self._found.get(uuid)
        if own is not None:
            return [own]
        gateways = [found for found in self._found.values() if found.may_serve_others]
        last = self._served_by.get(uuid)
        return sorted(gateways, key=lambda found: found.uuid != last)

    async def _site(self, place: Place) -> Site:
        site = self._open.get(place)
        if site is None:
            opening = self._opening.get(place)
            if opening is None:
                opening = asyncio.create_task(self._open_new(place), name=f"open {place[0]}")
                self._opening[place] = opening
            site = await asyncio.shield(opening)
        if place in self._open:
            self._open.move_to_end(place)
        return site

    async def _open_new(self, place: Place) -> Site:
        try:
            await self._make_room()
            site = self._open[place] = await self._open_site(place[0])
            return site
        finally:
            del self._opening[place]

    async def _make_room(self) -> None:
        idle = [place for place, site in self._open.items() if not site.users]
        for place in idle[: max(0, len(self._open) - self._most_open + 1)]:
            await self._open.pop(place).aclose()

    async def _forget(self, found: Found) -> None:
        self._found.pop(found.uuid, None)
        site = self._open.pop((found.path, found.uuid), None)
        if site is not None:
            await site.aclose()

    async def _look_again(self) -> None:
        """Return after a look that began after this call. One look at a time, with as long a
        rest after each: unknown UUIDs, which anybody can ask for, take half of a processor at
        most."""
        before = self._looks
        async with self._looking:
            if self._looks > before:
                return
            loop = asyncio.get_running_loop()
            await asyncio.sleep(self._rest_until - loop.time())
            self._looks += 1
            started = loop.time()
            try:
                await self.look()
            except OSError as error:
                complain(f"cannot look for repositories: {error}")
            self._rest_until = 2 * loop.time() - started

"""Git repositories on this machine as sites: what each serves is the gateway's business."""

from __future__ import annotations

import asyncio

from shoal.errors import NoSuchRemote, UsageError
from shoal.gateway.served import Served
from shoal.gateway.troubles import Troubles
from shoal.git.lockdownhook import install as install_lockdown
from shoal.git.repository import Repository
from shoal.remotes.base import Remote
from shoal.server.finding import Finder
from shoal.server.messages import complain
from shoal.server.repositories import OneRepository, RepositoriesBelow
from shoal.server.target import Directory, ServedGit, Site
from shoal.server.warmingup import WarmingUp
from shoal.values.uuid import UUID


class GatewaySite(Site):
    """One open repository: itself, its proxied remotes and its clusters."""

    def __init__(self, repository: Repository, jobs: int) -> None:
        """Raises NotARepository when it is not initialised for git-annex."""
        super().__init__(jobs)
        self._repository = repository
        troubles = Troubles(lambda error: complain(f"a node failed: {error}"))
        self._served = Served(
            repository, complain=_complain_of_commit, on_trouble=troubles.hear, share_log=True
        )
        self._warming_up = WarmingUp(repository)

    async def remote(self, uuid: UUID) -> Remote | None:
        try:
            return await self._served.remote(uuid)
        except NoSuchRemote:
            return None

    def remote_at_once(self, uuid: UUID) -> Remote | None:
        return self._served.remote_at_once(uuid)

    async def served_git(self) -> ServedGit:
        is_guarded = await asyncio.to_thread(self._guard)
        config = self._repository.config
        return ServedGit(
            self._repository.git_dir,
            self._repository.uuid,
            is_bare=self._repository.is_bare,
            url=config.get("annex.url"),
            takes_pushes=is_guarded and config.get_bool("http.receivepack", True),
        )

    def _guard(self) -> bool:
        """Look whether the configuration changed. When that of clusters is locked, make sure
        of the hook that judges pushes; tell whether it is there, or not needed."""
        self._repository.refresh_config()
        try:
            install_lockdown(self._repository)
        except OSError as error:
            complain(f"pushes are refused, since their hook cannot be installed: {error}")
            return False
        return True

    async def aclose(self) -> None:
        await self._warming_up.aclose()
        await self._served.aclose()


async def open_directory(
    path: str | None, tops: tuple[str, ...], jobs: int, *, keeps_reserve: bool = True
) -> Directory:
    """Open the repository at `path`; if that is None, look for repositories below `tops`.

    Unless `keeps_reserve`, content is stored without a look at annex.diskreserve.
    Raises NotARepository, UsageError.
    """

    async def open_site(path: str) -> Site:
        repository = await asyncio.to_thread(Repository.open, path)
        repository.keeps_reserve = keeps_reserve
        repository.complain = complain
        return GatewaySite(repository, jobs)

    if path is not None:
        return OneRepository(await open_site(path))
    directory = RepositoriesBelow(Finder(tops), open_site)
    try:
        await directory.look()
    except OSError as error:
        raise UsageError(f"cannot serve {error.filename}: {error.strerror}") from error
    return directory


def _complain_of_commit(error: Exception) -> None:
    complain(f"the git-annex branch: {error}")

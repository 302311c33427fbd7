"""Finding out the UUIDs of remotes, and where they serve annex+http.

Source: what git-annex 10.20261026 does with remotes whose annex-uuid is not configured.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from shoal.errors import NotARepository, ShoalError
from shoal.git.process import Git
from shoal.remotes.settings import (
    ANNEX_HTTP,
    Kind,
    RemoteSettings,
    configured_remotes,
    is_ssh_url,
    local_path,
)
from shoal.values.uuid import UUID, parse_uuid

if TYPE_CHECKING:
    from shoal.git.config import GitConfig
    from shoal.git.repository import Repository

_PATIENCE = 60.0  # seconds


def learn_uuids(repository: Repository, *, again: bool = False) -> list[str]:
    """Find out the UUIDs of git remotes that are not known yet, and put them into git config.
    `again`: also which repositories are at paths now, where others were before.

    A repository at a path is looked at; a http(s) server is asked for its `config`, which may
    also tell an annex+http URL. A server that does not answer, or that no protocol of git-annex
    leads to, is ignored from now on (annex-ignore), as by git-annex; the warnings that this gives
    are returned.
    """
    warnings: list[str] = []
    for settings in configured_remotes(repository.config, repository.path):
        if settings.ignore or settings.kind is Kind.SPECIAL:
            continue
        path = local_path(settings.git_url, repository.path)
        if settings.uuid is not None and (path is None or not again):
            continue
        if path is not None:
            uuid = uuid_at(path)
            if uuid is not None and uuid != settings.uuid:
                repository.config.set(f"remote.{settings.name}.annex-uuid", uuid)
        elif settings.git_url.startswith(("http://", "https://")):
            warnings += _learn_from_server(repository, settings)
        elif settings.kind is Kind.SSH:
            warnings += _learn_over_ssh(repository, settings)
        elif settings.kind is Kind.HTTP and is_ssh_url(settings.git_url):
            git_server = replace(settings, kind=Kind.SSH, location=settings.git_url)
            warnings += _learn_over_ssh(repository, git_server)
        elif settings.kind is Kind.OTHER and not settings.git_url.startswith("gcrypt::"):
            _ignore(repository.config, settings.name)
            what = "uses a protocol not supported by git-annex; setting annex-ignore"
            warnings.append(f"Remote {settings.name} {what}")
    return warnings


def uuid_at(path: str) -> UUID | None:
    """Give the UUID of the repository at `path`; None when there is none with a UUID."""
    from shoal.git.repository import Repository

    try:
        with Repository.open(path) as repository:
            return repository.uuid
    except (NotARepository, OSError, ValueError):
        return None


def _learn_from_server(repository: Repository, settings: RemoteSettings) -> list[str]:
    url = f"{settings.git_url.rstrip('/')}/config"
    remote = f"remote.{settings.name}"
    config = repository.config
    try:
        text = _in_own_loop(config, url)
        found = _parse(text)
    except ShoalError as error:
        return [*_ignore(config, settings.name), f"{url} {error}"]
    uuid = found.get("annex.uuid", "")
    if found.get("core.bare") != "true":
        config.set(f"{remote}.annex-bare", "false")
    if found.get("annex.url", "").lower().startswith(ANNEX_HTTP):
        config.set(f"{remote}.annexurl", found["annex.url"])
    try:
        config.set(f"{remote}.annex-uuid", parse_uuid(uuid))
    except ValueError:
        return [f"Failed to get annex.uuid configuration of repository {settings.name}"]
    return []


def _learn_over_ssh(repository: Repository, settings: RemoteSettings) -> list[str]:
    """Ask git-annex-shell. A host that cannot be reached now may be there the next time."""
    from shoal.remotes.ssh import NO_CONNECTION, config_list

    try:
        answer = config_list(repository, settings)
    except (OSError, ShoalError) as error:
        return [f"Unable to connect to repository {settings.name}: {error}"]
    if answer.returncode == NO_CONNECTION:
        what = "to get its annex.uuid configuration."
        return [f"Unable to connect to repository {settings.name} {what}"]
    remote, config = f"remote.{settings.name}", repository.config
    if answer.returncode != 0:
        _ignore(config, settings.name)
        return [
            f"Remote {settings.name} does not have git-annex installed; setting annex-ignore",
            "This could be a problem with the git-annex installation on the remote. Please make "
            "sure that git-annex-shell is available in PATH when you ssh into the remote. Once you "
            f"have fixed the git-annex installation, run: git annex enableremote {settings.name}",
        ]
    lines = os.fsdecode(answer.stdout).splitlines()
    found = dict(line.partition("=")[::2] for line in lines)
    if uuid := found.get("annex.uuid"):
        try:
            config.set(f"{remote}.annex-uuid", parse_uuid(uuid))
        except ValueError:
            return _ignore(config, settings.name)
    return []


def _ignore(config: GitConfig, name: str) -> list[str]:
    """Do not use a remote from now on that is no git-annex repository."""
    config.set(f"remote.{name}.annex-ignore", "true")
    config.set(f"remote.{name}.annex-ignore-auto", "true")
    return [f"Remote {name} not usable by git-annex; setting annex-ignore"]


def _in_own_loop(config: GitConfig, url: str) -> bytes:
    """Fetch `url` from code that is not asynchronous, whether or not a loop runs above it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(_fetch(config, url))).result()


async def _fetch(config: GitConfig, url: str) -> bytes:
    from shoal.remotes.p2phttp import http_options
    from shoal.transport.http_answer import HttpFailure
    from shoal.transport.http_client import HttpClient

    client = HttpClient(http_options(config))
    try:
        async with client.request("GET", url, patience=_PATIENCE) as answer:
            if answer.status != 200:
                raise ShoalError(answer.summary)
            return await answer.read()
    except HttpFailure as failure:
        raise ShoalError(str(failure)) from failure
    finally:
        await client.aclose()


def _parse(text: bytes) -> dict[str, str]:
    """Read a git configuration file, without what it includes. Raises GitError."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        listed = Git(None).run("config", "--null", "--list", "--file", file.name)
    items = listed.decode("utf-8", "surrogateescape").split("\0")
    return dict(item.partition("\n")[::2] for item in items if item)

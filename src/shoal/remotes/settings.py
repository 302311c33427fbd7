"""What git config and the git-annex branch say about remotes. Nothing is contacted here.

A client of a gateway has more remotes than it configured: for everything that the gateway
publishes in proxy.log there is one that is named `GATEWAY-NAME`, with the gateway's url and
settings and a UUID of its own. Rules: those of git-annex 10.20261026 (docs "passthrough
proxy"; checked against it, also the order of remotes).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from shoal.logs import cluster
from shoal.values.p2paddress import SCHEMES as P2P_SCHEMES
from shoal.values.uuid import UUID, is_cluster_uuid

if TYPE_CHECKING:
    from shoal.git.config import GitConfig, RemoteConfig
    from shoal.git.repository import Repository
    from shoal.logs.proxy import Proxied

CHEAP = 100.0  # cost of what is on this machine
EXPENSIVE = 200.0  # cost of what is reached over a network
VERY_EXPENSIVE = 1000.0  # cost of what is reached over a peer-to-peer network
_NODE_SURCHARGE = 0.1  # a cluster is tried before its nodes
ANNEX_HTTP = ("annex+http://", "annex+https://")
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*::")  # a program of its own leads to such a url


class Kind(Enum):
    """How a remote is reached."""

    PATH = "path"
    HTTP = "annex+http"
    SSH = "ssh"
    P2P = "P2P network"
    SPECIAL = "special remote"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """One remote as it is configured, or as it follows from proxy.log.

    `location` is the absolute path of a PATH remote, else the url; an HTTP remote's is its
    annex+http url, and `git_url` what git uses. `cost`: the lower, the sooner it is tried.
    `cluster_nodes` names the local clusters that it is a node of; None when that is not
    configured at all. `shell` and `ssh_options` are for SSH remotes: what to run in the place
    of git-annex-shell, and words for ssh.
    """

    name: str
    kind: Kind
    location: str
    uuid: UUID | None
    cost: float
    default_cost: float
    ignore: bool = False
    read_only: bool = False
    sync: bool = True
    proxy: bool = False
    proxied_by: UUID | None = None
    cluster_nodes: tuple[str, ...] | None = None
    cluster_gateways: tuple[UUID, ...] = ()
    config_uuid: UUID | None = None
    git_url: str = ""
    shell: str | None = None
    ssh_options: str = ""

    @property
    def is_proxied(self) -> bool:
        """It is reached through a gateway that proxies for it."""
        return self.proxied_by is not None


def remotes_of(repository: Repository) -> list[RemoteSettings]:
    """Give all remotes of a repository, in the order in which git-annex lists them.

    That are the proxied ones, the git remotes by name, and the special remotes by name.
    """
    logs, config = repository.logs, repository.config
    configured = configured_remotes(config, repository.path)
    git = [remote for remote in configured if remote.kind is not Kind.SPECIAL]
    special = [remote for remote in configured if remote.kind is Kind.SPECIAL]
    proxies = logs.all_proxies()
    if not proxies:
        return git + special
    taken = {key.split(".", 1)[1] for key, _ in config.items() if key.startswith("remote.")}
    clusters = cluster.parse(repository.branch.read(cluster.PATH))
    return [*proxied_remotes(git, proxies, clusters, taken), *git, *special]


def by_cost(remotes: Iterable[RemoteSettings]) -> list[RemoteSettings]:
    """Order remotes as a cluster lists its nodes: by cost, equals from the last to the first."""
    from_the_last = list(remotes)[::-1]
    return sorted(from_the_last, key=lambda remote: remote.cost)


def configured_remotes(config: GitConfig, top: str) -> list[RemoteSettings]:
    """Give the remotes of git config by name. `top` is the repository's path: a remote's path
    is relative to it."""
    names = sorted(config.remotes(), key=lambda name: os.fsencode(f"{name}."))
    found = [_configured(config, config.remote(name), top) for name in names]
    return [one for one in found if one.kind is not Kind.SPECIAL or one.uuid is not None]


def _configured(config: GitConfig, remote: RemoteConfig, top: str) -> RemoteSettings:
    git_url = _replaced(config, remote.url or "", "insteadof")
    kind, location = _whereabouts(config, remote, git_url, top)
    default_cost = _default_cost(kind, is_local=local_path(git_url, top) is not None)
    nodes = remote.get("annex-cluster-node")
    return RemoteSettings(
        name=remote.name,
        kind=kind,
        location=location,
        uuid=_uuid(remote.own("annex-uuid")),
        cost=_cost(remote, default_cost),
        default_cost=default_cost,
        ignore=not _succeeds(
            remote, "annex-ignore-command", not remote.get_bool("annex-ignore", False)
        ),
        read_only=remote.get_bool("annex-readonly", False),
        sync=_succeeds(remote, "annex-sync-command", remote.get_bool("annex-sync", True)),
        proxy=remote.get_bool("annex-proxy", False),
        proxied_by=_uuid(remote.get("annex-proxied-by")),
        cluster_nodes=None if nodes is None else tuple(nodes.split()),
        cluster_gateways=tuple(
            map(UUID, filter(is_cluster_uuid, remote.get_words("annex-cluster-gateway")))
        ),
        config_uuid=_uuid(remote.get("annex-config-uuid")),
        git_url=git_url,
        shell=remote.get("annex-shell"),
        ssh_options=remote.get("annex-ssh-options") or "",
    )


def proxied_remotes(
    remotes: Iterable[RemoteSettings],
    proxies: Mapping[UUID, Iterable[Proxied]],
    clusters: Mapping[UUID, frozenset[UUID]],
    taken: Iterable[str],
) -> list[RemoteSettings]:
    """Give the remotes that gateways among `remotes` make available.

    `proxies` is what each gateway publishes, `clusters` the nodes of each cluster (dead ones
    too), `taken` are `NAME.KEY` of all configured settings: where a user configured anything
    for a name, nothing is made up.
    """
    names = tuple(taken)
    found = []
    for gateway in remotes:
        uuid = gateway.config_uuid or gateway.uuid
        if uuid is None or gateway.kind not in {Kind.HTTP, Kind.SSH}:
            continue
        published = sorted(proxies.get(uuid, ()))
        own_clusters = [nodes for name, nodes in clusters.items() if name in dict(published)]
        for proxied in published:
            name = f"{gateway.name}-{proxied.name}"
            if any(key.startswith(f"{name}.") for key in names):
                continue
            remote = replace(
                gateway,
                name=name,
                uuid=proxied.uuid,
                proxied_by=gateway.uuid,
                cluster_nodes=None,
                cluster_gateways=(),
                config_uuid=None,
            )
            if any(proxied.uuid in nodes for nodes in own_clusters):
                cost = gateway.default_cost + _NODE_SURCHARGE
                remote = replace(remote, sync=False, cost=cost)
            found.append(remote)
    return found


def _whereabouts(
    config: GitConfig, remote: RemoteConfig, git_url: str, top: str
) -> tuple[Kind, str]:
    """Give how a remote is reached, and where it is."""
    if remote.url is None:
        return Kind.SPECIAL, ""
    url = remote.own("annexurl") or _replaced(config, remote.url, "annexinsteadof")
    if url.lower().startswith(ANNEX_HTTP):
        return Kind.HTTP, url
    if url == remote.url:
        url = git_url
    if url.startswith(P2P_SCHEMES):
        return Kind.P2P, url
    if (path := local_path(url, top)) is not None:
        return Kind.PATH, path
    return (Kind.SSH if is_ssh_url(url) else Kind.OTHER), url


def _default_cost(kind: Kind, *, is_local: bool) -> float:
    if kind is Kind.P2P:
        return VERY_EXPENSIVE
    return CHEAP if is_local else EXPENSIVE


def is_ssh_url(url: str) -> bool:
    """Tell whether git reaches a url over ssh."""
    if "://" in url:
        return url.partition("://")[0].lower() in {"ssh", "git+ssh", "ssh+git"}
    return ":" in url.partition("/")[0] and not _HELPER.match(url)


def local_path(url: str, top: str) -> str | None:
    """Give the path that a git url means, None when it is on another machine.

    `top` is the path of the repository whose remote it is.
    """
    if url.startswith("file://"):
        return unquote(urlsplit(url).path, errors="surrogateescape")
    before_slash = url.partition("/")[0]
    if "://" in url or ":" in before_slash:
        return None
    return os.path.normpath(os.path.join(top, os.path.expanduser(url)))


def _replaced(config: GitConfig, url: str, how: str) -> str:
    """Apply `url.BASE.insteadOf` (or annexInsteadOf): the longest prefix that fits counts."""
    best = ("", "")
    for key, prefix in config.items():
        if key.startswith("url.") and key.endswith(f".{how}") and url.startswith(prefix):
            base = key[len("url.") : -len(how) - 1]
            best = max(best, (prefix, base), key=lambda pair: len(pair[0]))
    prefix, base = best
    return base + url[len(prefix) :] if prefix else url


def _uuid(text: str | None) -> UUID | None:
    return UUID(text) if text else None


def _succeeds(remote: RemoteConfig, key: str, otherwise: bool) -> bool:
    """Tell whether the command that `key` names exits with 0; `otherwise` if there is none."""
    command = remote.get(key)
    return otherwise if not command else _run(command).returncode == 0


def _cost(remote: RemoteConfig, default: float) -> float:
    """Give the cost that is configured, or that a configured command prints."""
    command = remote.get("annex-cost-command")
    if not command:
        return remote.get_float("annex-cost", default)
    try:
        return float(_run(command).stdout)
    except ValueError:
        return default


def _run(command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", command], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )

"""Every log of a whole branch written by the real program is read, and written back the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.logs import (
    activity,
    chunk,
    cluster,
    contentid,
    export,
    group,
    location,
    presence,
    proxy,
    remote,
    trust,
    uuid,
)

_FIXTURE = Path(__file__).parents[1] / "fixtures" / "on-disk" / "branch-sample.json"
_FILES: dict[str, str] = json.loads(_FIXTURE.read_text())["files"]

_BY_PATH: dict[str, Callable[[bytes], bytes]] = {
    activity.PATH: lambda log: activity.LOG.render(activity.LOG.parse(log)),
    cluster.PATH: lambda log: cluster.LOG.render(cluster.LOG.parse(log)),
    export.PATH: lambda log: export.LOG.render(export.LOG.parse(log)),
    group.PATH: lambda log: group.LOG.render(group.LOG.parse(log)),
    proxy.PATH: lambda log: proxy.LOG.render(proxy.LOG.parse(log)),
    remote.PATH: lambda log: remote.LOG.render(remote.LOG.parse(log)),
    trust.PATH: lambda log: trust.LOG.render(trust.LOG.parse(log)),
    uuid.PATH: lambda log: uuid.LOG.render(uuid.LOG.parse(log)),
}
_BY_SUFFIX: dict[str, Callable[[bytes], bytes]] = {
    location.SUFFIX: lambda log: presence.render(presence.parse(log)),
    chunk.SUFFIX: lambda log: chunk.LOG.render(chunk.LOG.parse(log)),
    contentid.SUFFIX: lambda log: contentid.LOG.render(contentid.LOG.parse(log)),
}


def _rewrite(path: str, log: bytes) -> bytes:
    if path in _BY_PATH:
        return _BY_PATH[path](log)
    suffix = max((s for s in _BY_SUFFIX if path.endswith(s)), key=len)
    return _BY_SUFFIX[suffix](log)


@pytest.mark.parametrize("path", _FILES)
def test_a_log_is_written_back_as_it_was(path: str) -> None:
    log = _FILES[path].encode()
    assert _rewrite(path, log) == log


def test_the_sample_is_understood() -> None:
    logs = {path: text.encode() for path, text in _FILES.items()}
    (cluster_uuid, nodes), *_ = cluster.parse(logs[cluster.PATH]).items()
    (proxied,) = proxy.parse(logs[proxy.PATH]).values()
    assert {(cluster_uuid, "mycl")} < {(found.uuid, found.name) for found in proxied}
    assert nodes < {found.uuid for found in proxied}
    names = {remote.name_of(config) for config in remote.parse(logs[remote.PATH]).values()}
    assert names == {"same", "chunky", "exp"}
    assert uuid.parse(logs[uuid.PATH])[cluster_uuid] == b"cluster mycl"

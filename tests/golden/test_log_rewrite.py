"""Logs that git-annex rewrites while it does other things: vectors captured from 10.20261026.

Each has a file of the branch before and after a transfer, an export, updateproxy and so on,
and the change that the command made. Most lines of the files test what is kept, and how.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shoal.logs import activity, chunk, cluster, contentid, export, proxy, remotestate
from shoal.logs.export import Exported, Participants
from shoal.logs.proxy import Proxied
from shoal.values.clock import SECOND, Clock, parse_clock
from shoal.values.uuid import UUID

_FIXTURE = Path(__file__).parents[1] / "fixtures" / "on-disk" / "log-rewrite.json"
_CASES = json.loads(_FIXTURE.read_text())["cases"]


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _export(log: bytes, source: str, remote: str, tree: str, now: Clock) -> bytes:
    """An export is recorded twice: when it begins, and when it is under way."""
    who = Participants(UUID(source), UUID(remote))
    done = Exported(_encode(tree))
    return export.change(export.change(log, who, done, now), who, done, now)


_CHANGES: dict[str, Callable[..., bytes | None]] = {
    "activity": lambda log, repo, text, now: activity.change(log, repo, _encode(text), now),
    "chunk": chunk.change,
    "cluster": cluster.change,
    "contentid": lambda log, repo, text, now: contentid.add(log, repo, _encode(text), now),
    "export": _export,
    "proxy": lambda log, gateway, proxied, now: proxy.change(
        log, gateway, [Proxied(UUID(repo), name) for repo, name in proxied], now
    ),
    "remotestate": lambda log, repo, text, now: remotestate.change(log, repo, _encode(text), now),
}


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case["log"])
def test_a_log_is_rewritten_as_by_the_real_program(case: dict[str, Any]) -> None:
    now = parse_clock(_encode(case["clock"]))
    after = _CHANGES[case["log"]](_encode(case["before"]), *case["change"], now)
    assert after is not None
    assert after.decode("utf-8", "surrogateescape") == case["after"]


def test_clusters_and_legal_names_are_all_that_is_read() -> None:
    """What is kept when a log is rewritten may still be ignored when it is read."""
    logs = {case["log"]: _encode(case["before"]) for case in _CASES}
    assert all(uuid.startswith("acaaaaaa-1111-8") for uuid in cluster.parse(logs["cluster"]))
    names = {remote.name for found in proxy.parse(logs["proxy"]).values() for remote in found}
    assert names == {"a", "b", "B", "c", "x", "same", "other", "x.lock", "a..b", "é"}


def test_export_begins_one_second_apart() -> None:
    log = _export(b"", "a", "b", "t", Clock(5 * SECOND))
    assert log == b"6s a:b t\n"

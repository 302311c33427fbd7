"""Which changes of the git-annex branch a lockdown is about."""

from __future__ import annotations

import pytest

from shoal.logs.lockdown import PATHS, Change, Scope, locked_changes, scope_of
from shoal.values.uuid import UUID

GATEWAY = UUID("11111111-1111-4111-8111-111111111111")
NODE = UUID("22222222-2222-4222-8222-222222222222")
OTHER = UUID("33333333-3333-4333-8333-333333333333")
CLUSTER = UUID("ac444444-4444-8444-8444-444444444444")

OLD = {
    **dict.fromkeys(PATHS, b""),
    "cluster.log": b"1s %s %s\n" % (CLUSTER.encode(), NODE.encode()),
    "proxy.log": b"1s %s %s:node\n" % (GATEWAY.encode(), NODE.encode()),
    "group.log": b"%s archive timestamp=1s\n" % NODE.encode(),
    "maxsize.log": b"1s %s 100\n" % NODE.encode(),
    "numcopies.log": b"1s 2\n",
    "group-preferred-content.log": b"1s archive standard\n",
}
SCOPE = scope_of(GATEWAY, frozenset({CLUSTER}), frozenset(), OLD)


def changes(path: str, content: bytes) -> list[Change]:
    return locked_changes(OLD, {**OLD, path: content}, SCOPE)


def test_whose_configuration_is_locked() -> None:
    assert Scope(frozenset({GATEWAY, CLUSTER, NODE}), frozenset({b"archive"})) == SCOPE
    more = scope_of(GATEWAY, frozenset(), frozenset({OTHER}), OLD)
    assert more == Scope(frozenset({GATEWAY, OTHER}), frozenset())


@pytest.mark.parametrize(
    ("path", "line", "of"),
    [
        ("cluster.log", b"2s %s %s\n" % (CLUSTER.encode(), OTHER.encode()), CLUSTER),
        ("proxy.log", b"2s %s %s:other\n" % (GATEWAY.encode(), NODE.encode()), GATEWAY),
        ("maxsize.log", b"2s %s 5\n" % NODE.encode(), NODE),
        ("group.log", b"%s backup timestamp=2s\n" % NODE.encode(), NODE),
        ("preferred-content.log", b"%s nothing timestamp=2s\n" % NODE.encode(), NODE),
        ("required-content.log", b"%s nothing timestamp=2s\n" % NODE.encode(), NODE),
        ("trust.log", b"%s X timestamp=2s\n" % NODE.encode(), NODE),
        ("trust.log", b"%s X timestamp=2s\n" % CLUSTER.encode(), CLUSTER),
        ("numcopies.log", b"2s 1\n", None),
        ("mincopies.log", b"2s 5\n", None),
        ("group-preferred-content.log", b"2s archive nothing\n", b"archive"),
    ],
)
def test_locked_changes(path: str, line: bytes, of: UUID | bytes | None) -> None:
    (change,) = changes(path, OLD[path] + line)
    assert (change.path, change.of) == (path, of)


@pytest.mark.parametrize(
    "path",
    ["cluster.log", "proxy.log", "group.log", "maxsize.log", "numcopies.log"],
)
def test_losing_an_entry_is_a_change(path: str) -> None:
    assert [change.path for change in changes(path, b"")] == [path]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("maxsize.log", b"2s %s 5\n" % OTHER.encode()),
        ("group.log", b"%s backup timestamp=2s\n" % OTHER.encode()),
        ("trust.log", b"%s X timestamp=2s\n" % OTHER.encode()),
        ("proxy.log", b"2s %s %s:x\n" % (OTHER.encode(), NODE.encode())),
        ("cluster.log", b"2s ac%s %s\n" % (OTHER[2:].encode(), NODE.encode())),
        ("group-preferred-content.log", b"2s backup nothing\n"),
        ("maxsize.log", b"2s %s 100\n" % NODE.encode()),  # newer, and says the same
        ("maxsize.log", b"0.5s %s 5\n" % NODE.encode()),  # older
        ("maxsize.log", b"no line of this log\n"),
        ("maxsize.log", b"2s %s 0\n" % GATEWAY.encode()),  # as good as no entry
        ("trust.log", b"%s ? timestamp=2s\n" % NODE.encode()),
        ("numcopies.log", b"2s 2\n"),
    ],
)
def test_what_is_no_change(path: str, line: bytes) -> None:
    assert changes(path, OLD[path] + line) == []

"""Logs with a value for each field, beyond the vectors."""

from __future__ import annotations

import pytest

from shoal.logs import (
    chunk,
    cluster,
    config,
    contentid,
    export,
    group_preferred,
    maxsize,
    proxy,
    remotestate,
)
from shoal.logs.chunk import Chunking
from shoal.logs.export import Exported, Participants
from shoal.logs.proxy import Proxied
from shoal.values.clock import clock_from_seconds
from shoal.values.key import Key
from shoal.values.uuid import UUID

_A, _B = UUID("a"), UUID("b")
_CLUSTER = UUID("ac000000-0000-8000-8000-000000000000")
_NOW = clock_from_seconds(100)


def test_sizes_are_numbers_of_bytes() -> None:
    assert maxsize.parse(b"5s a 0x10\n5s b 1.5\n4s a 7\n") == {_A: 16}
    assert maxsize.change(b"9999999999.25s a 1\n", _A, 2, _NOW) == b"10000000000.25s a 2\n"


def test_the_nodes_of_a_cluster() -> None:
    log = cluster.change(b"", _CLUSTER, [_B, _A], _NOW)
    assert log == f"100s {_CLUSTER} a b\n".encode()
    assert cluster.parse(log + b"5s a b\n") == {_CLUSTER: {_A, _B}}
    with pytest.raises(ValueError, match="not a cluster"):
        cluster.change(b"", _A, [_B], _NOW)


def test_proxied_remotes() -> None:
    log = proxy.change(b"", _A, [Proxied(_CLUSTER, "c"), Proxied(_B, "b")], _NOW)
    assert log == f"100s a {_CLUSTER}:c b:b\n".encode()
    assert proxy.parse(log) == {_A: {Proxied(_B, "b"), Proxied(_CLUSTER, "c")}}


@pytest.mark.parametrize("name", ["", "-x", ".x", "a/b", "a b", "a:b", "a\x1b[31m", "a\t"])
def test_a_proxied_remote_has_a_harmless_name(name: str) -> None:
    assert not proxy.is_legal_name(name)
    with pytest.raises(ValueError, match="not a legal name"):
        proxy.change(b"", _A, [Proxied(_B, name)], _NOW)
    assert not proxy.parse(b"5s a b:" + name.encode() + b"\n").get(_A)


@pytest.mark.parametrize("name", ["a", "a.b-c_d", "9", "_x", "日本"])
def test_ordinary_names_are_legal(name: str) -> None:
    assert proxy.is_legal_name(name)


def test_chunk_sizes_in_use() -> None:
    log = b"5s a:50 3\n5s a:1000 0\n5s b:50 4\n5s a:odd 7\n"
    assert chunk.current(log, _A) == {50: 3}
    assert chunk.parse(log)[Chunking(_A, b"odd")] == 7
    assert chunk.change(b"", _A, 1000, 2, _NOW) == b"100s a:1000 2\n"
    assert chunk.path(Key.parse(b"SHA256E-s12--abc.txt")) == "4b6/9e8/SHA256E-s12--abc.txt.log.cnk"


def test_exports() -> None:
    log = export.change(b"", Participants(_A, _B), Exported(b"t1", (b"t2", b"t3")), _NOW)
    assert log == b"100s a:b t1 t2 t3\n"
    assert export.parse(log) == {Participants(_A, _B): Exported(b"t1", (b"t2", b"t3"))}


def test_content_identifiers_are_any_bytes() -> None:
    log: bytes = b""
    for identifier in (b"plain", b"a:b", b"!x", b"two\nlines", b"\xff", b""):
        after = contentid.add(log, _A, identifier, _NOW)
        assert after is not None
        log = after
    assert contentid.parse(log)[_A] == (b"", b"\xff", b"two\nlines", b"!x", b"a:b", b"plain")
    assert contentid.add(log, _A, b"a:b", _NOW) is None
    assert contentid.path(Key.parse(b"SHA256--x")).endswith("/SHA256--x.log.cid")


def test_a_remotes_state_is_one_line() -> None:
    assert remotestate.parse(b"5s a x y \n") == {_A: b"x y "}
    assert remotestate.path(Key.parse(b"SHA256--x")).endswith("/SHA256--x.log.rmt")
    with pytest.raises(ValueError, match="single line"):
        remotestate.change(b"", _A, b"a\nb", _NOW)


def test_config_and_group_expressions() -> None:
    assert config.parse(b"5s annex.dotfiles \n5s x y z\n") == {b"annex.dotfiles": b"", b"x": b"y z"}
    assert config.LOG.parse(b"5s annex.dotfiles\n") == {}
    assert group_preferred.parse(b"5s g a and b\n") == {b"g": b"a and b"}
    with pytest.raises(ValueError, match="single line"):
        group_preferred.change(b"", b"g", b"a\nb", _NOW)

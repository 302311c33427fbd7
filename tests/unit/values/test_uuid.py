"""UUIDs of repositories and clusters."""

from __future__ import annotations

import uuid

import pytest

from shoal.values.uuid import cluster_uuid_from, is_cluster_uuid, parse_uuid, uuid_bytes


def test_a_cluster_says_so_in_its_uuid() -> None:
    assert is_cluster_uuid("ac5e3d42-510d-890d-8577-3267e8f3e5a1")
    assert not is_cluster_uuid("AC5e3d42-510d-890d-8577-3267e8f3e5a1")
    assert not is_cluster_uuid("ac5e3d42-510d-490d-8577-3267e8f3e5a1")
    assert not is_cluster_uuid("ac")


def test_no_random_uuid_is_a_cluster_but_any_becomes_one() -> None:
    for _ in range(100):
        random = str(uuid.uuid4())
        assert not is_cluster_uuid(random)
        made = cluster_uuid_from(random)
        assert is_cluster_uuid(made)
        assert str(uuid.UUID(made)) == made
    with pytest.raises(ValueError, match="not a UUID"):
        cluster_uuid_from("x")


def test_a_uuid_is_a_word() -> None:
    assert parse_uuid(b"foo") == "foo"
    assert uuid_bytes(parse_uuid(b"\xff")) == b"\xff"
    for text in (b"", b"a b", b"a\n", "a\u00a0b"):
        with pytest.raises(ValueError, match="not a repository UUID"):
            parse_uuid(text)

"""A session answers for one command: names, trust with overrides, places, keys of a commit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.annex.session import Places, Session
from shoal.errors import NoSuchRemote, ShoalError
from shoal.logs.trust import TrustLevel
from shoal.values.uuid import UUID, cluster_uuid_from
from tests.support.annexrepo import HERE, git, key_of
from tests.support.client import Client

CLUSTER = cluster_uuid_from("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    made = Client(tmp_path)
    yield made
    made.close()


def test_remotes_are_found_by_name_and_uuid(client: Client) -> None:
    a = client.remote("a")
    git(Path(client.repository.path), "config", "remote.plain.url", "../nowhere")
    client.repository.config.reload()
    session = Session(client.repository)
    assert session.remote_named("a") == session.remote_named(a.uuid)
    for name in ("here", "b", HERE):
        with pytest.raises(NoSuchRemote):
            session.remote_named(name)
    with pytest.raises(ShoalError, match="cannot determine uuid for plain"):
        session.remote_named("plain")
    with pytest.raises(ShoalError, match="no remote specified"):
        session.remote_named("")


def test_trust_can_be_overridden_for_one_command(client: Client) -> None:
    a = client.remote("a")
    client.trust(a, TrustLevel.TRUSTED)
    overrides = [("a", TrustLevel.SEMITRUSTED), ("here", TrustLevel.UNTRUSTED)]
    session = Session(client.repository, trust_overrides=overrides)
    assert session.trust(a.uuid) is TrustLevel.SEMITRUSTED
    assert session.trust(HERE) is TrustLevel.UNTRUSTED
    assert Session(client.repository).trust(a.uuid) is TrustLevel.TRUSTED
    assert session.trust(UUID("never heard of")) is TrustLevel.SEMITRUSTED


def test_an_export_is_not_trusted_whatever_the_log_says(client: Client) -> None:
    a, b = client.remote("a"), client.remote("b")
    client.trust(a, TrustLevel.TRUSTED)
    client.trust(b, TrustLevel.DEAD)
    for remote in (a, b):
        client.repository.logs.set_remote_config(remote.uuid, {"exporttree": "yes", "name": "x"})
    elsewhere = UUID("12341234-1234-4234-8234-123412341234")  # not enabled here
    client.repository.logs.set_remote_config(elsewhere, {"exporttree": "yes", "name": "y"})
    session = Session(client.repository)
    assert session.trust(elsewhere) is TrustLevel.SEMITRUSTED
    assert session.trust(a.uuid) is TrustLevel.UNTRUSTED
    assert session.trust(b.uuid) is TrustLevel.DEAD


def test_places_are_sorted_by_what_they_are() -> None:
    a, b, c = (UUID(name) for name in "abc")
    trusts = {b: TrustLevel.UNTRUSTED}
    places = Places.of({c, b, a, CLUSTER}, lambda uuid: trusts.get(uuid, TrustLevel.SEMITRUSTED))
    assert places == Places((CLUSTER,), (a, c), (b,))


def test_keys_of_a_commit(client: Client) -> None:
    top = Path(client.repository.path)
    key, other = key_of(b"one"), key_of(b"two")
    (top / "d").mkdir()
    (top / "d/f").symlink_to(f"../.git/annex/objects/x/y/{key}/{key}")
    (top / "u").write_text(f"/annex/objects/{other}\n")
    (top / "plain").write_text("x" * 100_000)
    git(top, "add", ".")
    git(top, "-c", "user.name=n", "-c", "user.email=e@x", "commit", "-q", "-m", "m")
    session = Session(client.repository)
    assert list(session.annexed_in("HEAD")) == [("d/f", key), ("u", other)]
    with pytest.raises(ShoalError, match="git ls-tree nosuch failed"):
        list(session.annexed_in("nosuch"))


def test_all_keys(client: Client) -> None:
    a = client.remote("a")
    keys = {client.put(b"one"), client.give(b"two", a)}
    assert set(Session(client.repository).all_keys()) == keys

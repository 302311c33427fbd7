"""Typed logs: what they say, what is kept, and when it is read again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from shoal.git.repository import Repository
from shoal.logs import location
from shoal.logs.presence import Status
from shoal.logs.proxy import Proxied
from shoal.logs.trust import TrustLevel
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.gitrepo import HERE, make_repository, on_branch, put_on_branch, to

pytestmark = pytest.mark.usefixtures("close_repositories")
A, B, C = (UUID(f"{digit * 8}-2222-4222-8222-222222222222") for digit in "abc")
CLUSTER = UUID("ac222222-2222-8222-8222-222222222222")
KEY = Key.parse(b"MD5-s0--d41d8cd98f00b204e9800998ecf8427e")
LOG = location.path(KEY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "repo"


@pytest.fixture
def repo(path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("GIT_ANNEX_VECTOR_CLOCK", "100s")
    return make_repository(path)


def test_locations_without_the_dead_and_with_clusters(repo: Repository) -> None:
    logs = repo.logs
    assert logs.locations(KEY) == frozenset()
    assert logs.set_location(KEY, A, True)
    assert not logs.set_location(KEY, A, True)
    logs.set_location(KEY, B, True)
    assert logs.locations(KEY) == {A, B}
    logs.set_cluster(CLUSTER, [B, C])
    assert logs.locations(KEY) == {A, B, CLUSTER}
    assert logs.locations(KEY, raw=True) == {A, B}
    logs.set_trust(B, TrustLevel.DEAD)
    assert logs.locations(KEY) == {A}
    assert logs.locations(KEY, raw=True) == {A, B}
    assert logs.clusters() == {CLUSTER: frozenset({C})}
    logs.set_location(KEY, C, True)
    assert logs.locations(KEY) == {A, C, CLUSTER}
    logs.set_location(KEY, A, False)
    assert logs.locations(KEY) == {C, CLUSTER}
    assert logs.location_log(KEY)[A] is Status.MISSING
    logs.set_trust(CLUSTER, TrustLevel.DEAD)
    assert logs.locations(KEY) == {C}


def test_a_cluster_is_never_written_to_the_location_log(repo: Repository) -> None:
    assert not repo.logs.set_location(KEY, CLUSTER, True)
    assert repo.branch.read(LOG) == b""


def test_locations_that_are_known_without_reading(repo: Repository) -> None:
    logs = repo.logs
    logs.set_location(KEY, A, True)
    logs.set_cluster(CLUSTER, [A, B])
    assert logs.kept_locations(KEY) is None
    assert logs.locations(KEY) == {A, CLUSTER}
    assert logs.kept_locations(KEY) == frozenset({A, CLUSTER})
    logs.set_location(KEY, B, True)
    assert logs.kept_locations(KEY) is None
    assert logs.locations(KEY) == {A, B, CLUSTER}
    assert logs.kept_locations(KEY) == frozenset({A, B, CLUSTER})
    logs.set_trust(A, TrustLevel.DEAD)
    assert logs.kept_locations(KEY) is None


def test_locations_of_several_keys(repo: Repository) -> None:
    """Of the branch, of the journal and kept; with clusters and without the dead."""
    logs = repo.logs
    keys = [Key.parse(b"WORM--%d" % number) for number in range(20)]
    logs.set_cluster(CLUSTER, [A])
    logs.set_trust(C, TrustLevel.DEAD)
    for number, key in enumerate(keys[:15]):
        logs.set_locations(key, {A: number % 2 == 0, B: True, C: True})
        if number == 9:
            repo.branch.commit()
    expected = [logs.locations(key) for key in keys]
    with Repository.open(repo.path) as fresh:
        fresh.logs.locations(keys[3])
        assert fresh.logs.locations_of([*keys, keys[0]]) == [*expected, expected[0]]
        assert [fresh.logs.kept_locations(key) for key in keys] == expected
        assert fresh.logs.locations_of([]) == []


def test_several_locations_at_once(repo: Repository) -> None:
    assert repo.logs.set_locations(KEY, {A: True, B: False, CLUSTER: True, C: Status.DEAD})
    assert repo.branch.read(LOG) == f"100s 1 {A}\n100s 0 {B}\n100s X {C}\n".encode()
    assert not repo.logs.set_locations(KEY, {A: True, B: False})


def test_locations_of_private_repositories(repo: Repository, path: Path) -> None:
    repo.config.set("annex.private", "true")
    repo.refresh()
    assert repo.logs.set_locations(KEY, {UUID(HERE): True, A: True})
    assert repo.logs.locations(KEY) == {HERE, A}
    repo.branch.commit()
    assert on_branch(path) == {LOG: f"100s 1 {A}"}
    assert repo.logs.locations(KEY) == {HERE, A}


def test_changes_by_others_are_seen_after_refresh(repo: Repository, path: Path) -> None:
    other = Repository.open(path)
    repo.logs.set_location(KEY, A, True)
    assert other.logs.locations(KEY) == {A}
    repo.logs.set_location(KEY, B, True)
    repo.logs.set_trust(A, TrustLevel.DEAD)
    other.refresh()
    assert other.logs.locations(KEY) == {B}
    repo.branch.commit()
    repo.logs.set_location(KEY, C, True)
    repo.branch.commit()
    other.refresh()
    assert other.logs.locations(KEY) == {B, C}


def test_what_another_process_recorded_just_before_is_seen_at_once(
    repo: Repository, path: Path
) -> None:
    assert repo.logs.locations(KEY) == frozenset()
    Repository.open(path).logs.set_location(KEY, A, True)
    assert not repo.logs.set_location(KEY, A, True)
    assert repo.logs.locations(KEY) == {A}


def test_what_was_read_while_it_changed_is_not_kept(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.logs.set_location(KEY, A, True)
    real = repo.branch.read

    def read_then_change(name: str) -> bytes:
        content = real(name)
        monkeypatch.setattr(repo.branch, "read", real)
        repo.logs.set_location(KEY, B, True)
        return content

    monkeypatch.setattr(repo.branch, "read", read_then_change)
    assert repo.logs.locations(KEY) == {A}
    assert repo.logs.locations(KEY) == {A, B}


def test_every_setter_is_read_back(repo: Repository) -> None:
    logs = repo.logs
    logs.set_description(A, "the first")
    logs.set_groups(A, ["backup", "x"])
    logs.set_wanted(A, "standard")
    logs.set_required(A, "present")
    logs.set_group_wanted("backup", "anything")
    logs.set_numcopies(3)
    logs.set_mincopies(2)
    logs.set_max_size(A, 1000)
    logs.set_config("annex.dotfiles", "true")
    logs.set_proxies(A, [Proxied(B, "nb"), Proxied(C, "nc")])
    logs.set_remote_config(C, {"name": "s3", "type": "S3"})
    repo.branch.commit()
    with Repository.open(repo.path) as again:
        for read in (logs, again.logs):
            assert read.descriptions() == {A: "the first"}
            assert read.groups() == {A: frozenset({"backup", "x"})}
            assert read.wanted() == {A: "standard"}
            assert read.required() == {A: "present"}
            assert read.group_wanted() == {"backup": "anything"}
            assert (read.numcopies(), read.mincopies()) == (3, 2)
            assert read.max_sizes() == {A: 1000}
            assert read.config() == {"annex.dotfiles": "true"}
            assert read.proxies(A) == [(B, "nb"), (C, "nc")]
            assert read.proxies(B) == []
            assert read.remote_configs() == {C: {"name": "s3", "type": "S3"}}


def test_private_repositories_are_never_announced_as_proxied(repo: Repository) -> None:
    for key, value in (("uuid", B), ("private", "true")):
        repo.config.set(f"remote.b.annex-{key}", value)
    repo.refresh()
    repo.logs.set_proxies(A, [Proxied(B, "b"), Proxied(C, "c")])
    assert repo.logs.proxies(A) == [(C, "c")]


def test_git_config_overrides_the_trust_log(repo: Repository) -> None:
    repo.logs.set_trust(A, TrustLevel.TRUSTED)
    repo.logs.set_trust(B, TrustLevel.UNTRUSTED)
    repo.config.set("remote.a.annex-uuid", A)
    repo.config.set("remote.a.annex-trustlevel", "dead")
    repo.config.set("remote.c.annex-uuid", C)
    repo.config.set("remote.c.annex-trustlevel", "nonsense")
    repo.refresh()
    logs = repo.logs
    assert [logs.trust(u) for u in (A, B, C)] == [
        TrustLevel.DEAD, TrustLevel.UNTRUSTED, TrustLevel.SEMITRUSTED,
    ]  # fmt: skip
    assert logs.dead() == {A}


def test_one_level_of_hash_directories(repo: Repository) -> None:
    repo.config.set("annex.tune.branchhash1", "true")
    repo.refresh()
    repo.logs.set_location(KEY, A, True)
    repo.branch.commit()
    assert repo.branch.paths() == [location.path(KEY, 1)]
    assert repo.logs.locations(KEY) == {A}
    assert list(repo.logs.scan_locations()) == [(KEY, frozenset({A}))]


def test_scanning_location_logs(repo: Repository, path: Path) -> None:
    other = Key.parse(b"SHA256E-s3--x.txt")
    put_on_branch(
        path,
        {
            LOG: f"1s 1 {A}\n",
            LOG + ".web": "1s 1 http://x\n",
            "aaa/bbb/not a key.log": "x\n",
            "uuid.log": "u\n",
        },
    )
    repo.logs.set_location(other, B, True)
    assert dict(repo.logs.scan_locations()) == {KEY: {A}, other: {B}}


def test_lines_that_people_broke_do_no_harm(repo: Repository, path: Path) -> None:
    put_on_branch(path, {"trust.log": "not a line\n", "cluster.log": "1s x y\n", LOG: "1s 1\n\n"})
    assert repo.logs.trusts() == {}
    assert repo.logs.clusters() == {}
    assert repo.logs.locations(KEY) == frozenset()


def test_a_kept_location_is_found_in_microseconds(repo: Repository) -> None:
    repo.logs.set_location(KEY, A, True)
    repo.logs.set_cluster(CLUSTER, [A])
    assert repo.logs.locations(KEY) == {A, CLUSTER}
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(100):
            repo.logs.locations(KEY)
        best = min(best, (time.perf_counter() - start) / 100)
    assert best < 100e-6


def test_broken_vector_clocks_in_the_environment_are_ignored(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_ANNEX_VECTOR_CLOCK", "nonsense")
    before = int(time.time())
    repo.logs.set_location(KEY, A, True)
    clock = repo.branch.read(LOG).split(b"s ")[0]
    assert before <= int(clock) <= before + 60
    assert repo.branch.change(LOG, to(b""))

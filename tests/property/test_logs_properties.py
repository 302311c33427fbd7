"""What holds for all logs: they can be read whatever is in them, and merging loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shoal.logs import (
    activity,
    chunk,
    cluster,
    config,
    contentid,
    difference,
    equivalent,
    export,
    group,
    group_preferred,
    location,
    maxsize,
    metadata,
    mincopies,
    multicast,
    numcopies,
    preferred,
    presence,
    proxy,
    remote,
    remotemetadata,
    remotestate,
    required,
    schedule,
    transitions,
    trust,
    uuid,
    web,
)
from shoal.logs.dropdead import Dead, drop_dead
from shoal.logs.maplog import MapLog
from shoal.logs.merge import union_merge
from shoal.logs.presence import Line, Status
from shoal.logs.uuidlog import UuidLog
from shoal.values.clock import Clock
from shoal.values.key import Key
from shoal.values.uuid import UUID, is_cluster_uuid
from tests.support.strategies import clocks, hostile_bytes, keys, lines, uuids

_UUID_LOGS = (
    activity, difference, group, multicast, preferred, remote, required, schedule, trust, uuid,
)  # fmt: skip
_LOSE_SPACES = (activity, group, remote)
_MAP_LOGS = (
    chunk, cluster, config, contentid, export, group_preferred, maxsize, proxy, remotestate,
)  # fmt: skip
_READERS: list[Callable[[bytes], Any]] = [
    *(module.parse for module in (*_UUID_LOGS, *_MAP_LOGS)),
    *(module.parse for module in (numcopies, mincopies, transitions, presence, location, web)),
    *(equivalent.parse, metadata.parse, metadata.current, metadata.current_with_times),
    *(location.present_uuids, location.is_dead, location.set_dead),
    lambda log: remotemetadata.current(log, UUID("a")),
    lambda log: remote.effective(remote.parse(log)),
    lambda log: difference.all_of(difference.parse(log)),
]
_PATHS = [
    *(module.PATH for module in (*_UUID_LOGS, cluster, config, export, maxsize, proxy)),
    *(f"aaa/bbb/MD5--x{suffix}" for suffix in (".log", ".log.web", ".log.cnk", ".log.rmt")),
    *(f"aaa/bbb/MD5--x{suffix}" for suffix in (".log.cid", ".log.met", ".log.rmet", ".log.ek")),
]

logs = st.lists(hostile_bytes, max_size=8).map(b"\n".join)
_presence_lines = st.lists(
    st.builds(Line, clocks.filter(lambda c: c >= 0), st.sampled_from(Status), lines), max_size=8
)


@given(logs)
def test_reading_a_log_never_fails(log: bytes) -> None:
    for read in _READERS:
        read(log)


@given(logs, clocks)
def test_changing_a_log_never_fails_and_can_be_read_back(log: bytes, now: Clock) -> None:
    repo = UUID("30000000-0000-4000-8000-000000000000")
    after = location.change(log, repo, True, now)
    assert repo in location.present_uuids(log if after is None else after)
    assert trust.parse(trust.change(log, repo, trust.TrustLevel.DEAD, now))[repo].value == b"X"
    assert maxsize.parse(maxsize.change(log, repo, 7, now))[repo] == 7
    assert group.parse(group.change(log, repo, [b"x"], now))[repo] == {b"x"}
    after = numcopies.change(log, 3, now)
    assert numcopies.parse(log if after is None else after) == 3
    after = metadata.change(log, metadata.adding("f", b"v"), now)
    assert after is not None
    assert b"v" in metadata.current(after)["f"]
    after = web.add(log, b"http://x/", now)
    assert b"http://x/" in web.parse(log if after is None else after)
    after = contentid.add(log, repo, b"cid", now)
    assert b"cid" in contentid.parse(log if after is None else after)[repo]


@pytest.mark.parametrize("module", [*_UUID_LOGS, *_MAP_LOGS], ids=lambda module: module.__name__)
@given(log=logs)
def test_what_is_written_reads_the_same_and_is_written_the_same(module: Any, log: bytes) -> None:
    codec: UuidLog[Any] | MapLog[Any, Any] = module.LOG
    entries: Any = codec.parse(log)
    if module in _LOSE_SPACES:  # what was no clock, for a space behind it, may become one
        assume(not any("timestamp" in str(entry.value) for entry in entries.values()))
    written = codec.render(entries)
    assert codec.parse(written) == entries
    assert codec.render(codec.parse(written)) == written


@given(_presence_lines)
def test_a_presence_log_survives_its_text(written: list[Line]) -> None:
    assert presence.parse(presence.render(written)) == written


@given(_presence_lines)
def test_the_fast_path_says_what_the_careful_one_says(written: list[Line]) -> None:
    log = presence.render(written)
    careful = {info: line.status.value for info, line in presence.compact(written).items()}
    assert presence.statuses(log) == careful
    compacted = presence.render_compact(presence.compact(written))
    assert presence.statuses(compacted) == careful


@given(_presence_lines, uuids, st.booleans(), clocks)
def test_only_the_repository_in_question_changes(
    written: list[Line], repo: UUID, present: bool, now: Clock
) -> None:
    log = presence.render(written)
    after = location.change(log, repo, present, now)
    if is_cluster_uuid(repo):
        assert after is None
        return
    before = location.parse(log)
    expected = {**before, repo: Status.PRESENT if present else Status.MISSING}
    if after is None:
        assert before == expected
    else:
        assert location.parse(after) == expected


@given(keys)
def test_the_path_of_a_location_log_gives_the_key(key: Key) -> None:
    assert location.key_of(location.path(key)) == key


@given(logs, logs)
def test_merging_is_idempotent_and_keeps_every_line(ours: bytes, theirs: bytes) -> None:
    merged = union_merge(ours, theirs)
    assert union_merge(merged, merged) == merged
    assert union_merge(merged, ours) in {merged, ours}
    kept = set(merged.split(b"\n"))
    assert set(ours.split(b"\n")) - {b""} <= kept
    assert set(theirs.split(b"\n")) - {b""} <= kept


def _line_set(log: bytes) -> set[bytes]:
    return set(log.removesuffix(b"\n").split(b"\n")) if log else set()


@given(logs, logs, logs)
def test_the_lines_of_a_merge_do_not_depend_on_its_order(a: bytes, b: bytes, c: bytes) -> None:
    """The text may: a side that has all lines keeps its own order of them."""
    assert _line_set(union_merge(a, b)) == _line_set(union_merge(b, a))
    one = union_merge(union_merge(a, b), c)
    other = union_merge(a, union_merge(b, c))
    assert _line_set(one) == _line_set(other)


_changes = st.lists(st.tuples(uuids, st.booleans()), max_size=4)


def _apply(log: bytes, changes: list[tuple[UUID, bool]], start: int) -> bytes:
    for number, (repo, present) in enumerate(changes):
        after = location.change(log, repo, present, Clock((start + 2 * number) * 10**12))
        log = log if after is None else after
    return log


@given(_changes, _changes, _changes)
def test_clones_that_merge_agree_on_where_content_is(
    before: list[tuple[UUID, bool]], here: list[tuple[UUID, bool]], there: list[tuple[UUID, bool]]
) -> None:
    """Unless both wrote about the same repository at the very same time (here they never do)."""
    base = _apply(b"", before, 0)
    ours, theirs = _apply(base, here, 101), _apply(base, there, 1000)
    one, other = union_merge(ours, theirs), union_merge(theirs, ours)
    assert location.parse(one) == location.parse(other)
    final = {**location.parse(base)}
    for repo, present in (*here, *there):
        if not is_cluster_uuid(repo):
            final[repo] = Status.PRESENT if present else Status.MISSING
    changed_there = {repo for repo, _ in there}
    for repo, status in location.parse(one).items():
        if repo in changed_there and location.parse(theirs)[repo] != location.parse(base).get(repo):
            assert status == final[repo]


@given(st.lists(st.sampled_from(["a", "B", "b"]), max_size=3), logs, clocks)
def test_simplifying_metadata_changes_nothing_that_is_seen(
    names: list[str], log: bytes, now: Clock
) -> None:
    for name in names:
        after = metadata.change(log, metadata.setting(metadata.current(log), name, [b"v"]), now)
        assert after is not None
        log = after
    parsed = metadata.parse(log)
    assert metadata.current(metadata.render(metadata.simplify(parsed))) == metadata.current(log)


@given(st.sampled_from(_PATHS), logs)
def test_forgetting_the_dead_never_fails_and_is_done_once(path: str, log: bytes) -> None:
    gone = UUID("11111111-1111-4111-8111-111111111111")
    dead = Dead(frozenset({gone}), frozenset({gone}))
    once = drop_dead(path, log, dead)
    assert drop_dead(path, once, dead) == once
    if path.endswith(".log") and "/" in path:
        assert location.present_uuids(once) == location.present_uuids(log) - {gone}

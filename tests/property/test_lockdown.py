"""What the lockdown lets pass, in whatever pieces and order it comes, changes nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.logs import group, maxsize, numcopies, trust
from shoal.logs.lockdown import PATHS, locked_changes, scope_of
from shoal.logs.merge import union_merge
from shoal.values.uuid import UUID

_GATEWAY = UUID("11111111-1111-4111-8111-111111111111")
_NODE = UUID("22222222-2222-4222-8222-222222222222")
_OTHER = UUID("33333333-3333-4333-8333-333333333333")
_UUIDS = st.sampled_from([_NODE, _OTHER])
_CLOCKS = st.sampled_from(["1s", "2s", "2.5s", "3s"])
_LINES = {
    maxsize.PATH: st.builds("{} {} {}".format, _CLOCKS, _UUIDS, st.sampled_from([0, 5, 6])),
    trust.PATH: st.builds(
        "{1} {2} timestamp={0}".format, _CLOCKS, _UUIDS, st.sampled_from(["?", "X", "1"])
    ),
    group.PATH: st.builds(
        "{1} {2} timestamp={0}".format, _CLOCKS, _UUIDS, st.sampled_from(["", "a", "a b"])
    ),
    numcopies.PATH: st.builds("{} {}".format, _CLOCKS, st.sampled_from([1, 2])),
}


def _log(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


_VERSIONS = st.fixed_dictionaries(
    {path: st.lists(line, max_size=3).map(_log) for path, line in _LINES.items()}
).map(lambda logs: {**dict.fromkeys(PATHS, b""), **logs})


def _merge(ours: dict[str, bytes], theirs: dict[str, bytes]) -> dict[str, bytes]:
    return {path: union_merge(ours[path], theirs[path]) for path in PATHS}


@settings(deadline=None)
@given(_VERSIONS, st.lists(_VERSIONS, max_size=5))
def test_versions_that_pass_one_by_one_pass_together(
    ours: dict[str, bytes], pushed: list[dict[str, bytes]]
) -> None:
    scope = scope_of(_GATEWAY, frozenset(), frozenset({_NODE}), ours)
    merged = ours
    for version in pushed:
        if not locked_changes(ours, _merge(ours, version), scope):
            merged = _merge(merged, version)
    assert locked_changes(ours, merged, scope) == []
    assert trust.parse(merged[trust.PATH]).get(_NODE) in {
        trust.parse(ours[trust.PATH]).get(_NODE),
        trust.TrustLevel.SEMITRUSTED,
    }

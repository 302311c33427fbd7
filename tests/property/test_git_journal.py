"""Names in the journal stand for one path each, for every path that a log can have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.git.journal import branch_path, journal_name
from shoal.values.key import Key
from shoal.values.keypath import log_path

_text = st.text(
    st.characters(exclude_characters="\0\n", exclude_categories=["Cs"]), min_size=1, max_size=20
)
_backends = st.text(st.sampled_from("AZ09_aX"), min_size=1, max_size=8)


@given(_backends, _text, st.integers(0, 10**12), st.sampled_from([1, 2]))
def test_logs_of_keys(backend: str, name: str, size: int, levels: int) -> None:
    key = Key(backend.encode(), name.encode(), size)
    path = log_path(key, ".log", levels)
    encoded = journal_name(path)
    assert "/" not in encoded
    assert branch_path(encoded) == path


@given(st.lists(st.text(st.sampled_from("ab_.-"), min_size=1, max_size=6), min_size=1, max_size=3))
def test_other_paths_without_an_underscore_at_a_slash(parts: list[str]) -> None:
    path = "/".join(part.strip("_") or "x" for part in parts)
    assert branch_path(journal_name(path)) == path

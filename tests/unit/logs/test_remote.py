"""remote.log beyond the vectors: remotes that are the same as another."""

from __future__ import annotations

import pytest

from shoal.logs import remote
from shoal.values.clock import clock_from_seconds
from shoal.values.uuid import UUID

_A, _B = UUID("a"), UUID("b")
_NOW = clock_from_seconds(100)


def test_values_are_escaped() -> None:
    config = {"name": "my dir", "x": "a&b", "y": "tab\tnbsp\u00a0", "z": "", "url": "a=b"}
    log = remote.change(b"", _A, config, _NOW)
    assert log == (b"a name=my&32;dir url=a=b x=a&38;b y=tab&9;nbsp&160; z= timestamp=100s\n")
    assert remote.parse(log) == {_A: config}


@pytest.mark.parametrize("text", ["&99999999;", "&55296;", "&x;", "&", f"&{'9' * 5000};"])
def test_an_impossible_escape_stays_as_it_is(text: str) -> None:
    """The real program crashes on some of these."""
    assert remote.parse(f"a x={text} timestamp=5s\n".encode()) == {_A: {"x": text}}


def test_a_remote_inherits_from_the_one_that_it_is_the_same_as() -> None:
    log = (
        b"a name=one encryption=shared chunk=5 type=S3 timestamp=5s\n"
        b"b sameas-name=two sameas-uuid=a encryption=none mac=x type=httpalso timestamp=5s\n"
    )
    configs = remote.effective(remote.parse(log))
    assert configs[_A] == {"name": "one", "encryption": "shared", "chunk": "5", "type": "S3"}
    assert configs[_B] == {
        "sameas-name": "two",
        "sameas-uuid": "a",
        "encryption": "shared",
        "chunk": "5",
        "type": "httpalso",
    }
    assert [remote.name_of(configs[uuid]) for uuid in (_A, _B)] == ["one", "two"]


def test_what_is_inherited_is_not_written() -> None:
    config = {"sameas-uuid": "a", "encryption": "shared", "type": "httpalso"}
    log = remote.change(b"", _B, config, _NOW)
    assert log == b"b sameas-uuid=a type=httpalso timestamp=100s\n"


def test_without_the_other_remote_nothing_is_inherited() -> None:
    config = {"sameas-uuid": "a", "encryption": "none"}
    assert remote.effective({_B: config}) == {_B: config}


@pytest.mark.parametrize("name", ["a b", "a=b", "a\u00a0b", "a\n"])
def test_a_setting_is_named_by_a_word(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        remote.change(b"", _A, {name: "x"}, _NOW)

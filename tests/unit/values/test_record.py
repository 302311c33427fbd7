"""Records behave as frozen dataclasses with slots do."""

from __future__ import annotations

import copy
import pickle
from typing import ClassVar

import pytest

from shoal.values.record import record, replaced


@record
class Point:
    """A record with a default, and a constant of its class."""

    origin: ClassVar[str] = "here"
    x: int
    y: int = 5

    @property
    def sum(self) -> int:
        return self.x + self.y


@record
class Named(Point):
    """A record with one more field, and its own way to be shown."""

    name: str = ""

    def __repr__(self) -> str:
        return f"<{self.name}>"


@record
class Empty:
    """A record without fields."""


class Kind(Empty):
    """A kind of Empty."""

    __slots__ = ()


@record
class Secretive:
    """A record with a field that is not shown."""

    seen: int
    _hidden: int = 0


def test_fields_by_place_by_name_and_by_default() -> None:
    assert (Point(1).x, Point(1).y, Point(1, 2).y, Point(y=3, x=1).y) == (1, 5, 2, 3)
    assert Point(2).sum == 7
    assert Named(1, 2, "three").name == "three"


@pytest.mark.parametrize(
    ("places", "names"), [((), {}), ((1, 2, 3), {}), ((1,), {"z": 1}), ((), {"y": 1})]
)
def test_wrong_fields(places: tuple[int, ...], names: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="takes the fields x, y"):
        Point(*places, **names)


def test_equal_when_of_one_kind_with_equal_fields() -> None:
    assert Point(1, 2) == Point(1, 2)
    assert Point(1, 2) != Point(1, 3)
    assert Point(1, 2) != Named(1, 2)
    assert len({Point(1, 2), Point(1, 2), Point(2, 1)}) == 2
    assert Empty() != Kind()
    assert Kind() == Kind()


def test_frozen_and_without_a_dict() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="frozen"):
        object.__getattribute__(point, "__setattr__")("x", 2)
    with pytest.raises(AttributeError, match="frozen"):
        del point.x
    assert not hasattr(point, "__dict__")
    assert not hasattr(Kind(), "__dict__")


def test_shown_matched_changed_copied() -> None:
    assert repr(Point(1, 2)) == "Point(x=1, y=2)"
    assert repr(Named(1, 2, "n")) == "<n>"
    assert repr(Secretive(1, 2)) == "Secretive(seen=1)"
    match Named(1, 2, "n"):
        case Named(1, y, name):
            assert (y, name) == (2, "n")
        case _:
            pytest.fail("it did not match")
    assert replaced(Point(1, 2), y=9) == Point(1, 9)
    assert copy.deepcopy(Point(1, 2)) == Point(1, 2)
    assert pickle.loads(pickle.dumps(Named(1, 2, "n"))) == Named(1, 2, "n")

"""Frozen records: what `@dataclass(frozen=True, slots=True)` makes, without its cost at the start.

A dataclass writes the source of its methods and compiles it, half a millisecond for each class
and ten for `dataclasses` itself. shoal-shell is started by ssh for every connection and meets
dozens of them before its first answer, so the modules that it begins with use records. They
are written and used like dataclasses; type checkers take them for such.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

_T = TypeVar("_T")
_Setter = Callable[[object, object], None]


@dataclass_transform(frozen_default=True)
def record(cls: type[_T]) -> type[_T]:
    """Make a class with annotated fields a frozen record with slots.

    A default must not be mutable. Methods that the class has of its own are left alone.
    """
    own = [
        name for name, kind in cls.__annotations__.items() if not str(kind).startswith("ClassVar")
    ]
    names = (*getattr(cls, "__match_args__", ()), *own)
    inherited: Mapping[str, object] = getattr(cls, "_defaults", {})
    namespace = {k: v for k, v in vars(cls).items() if k not in {"__dict__", "__weakref__"}}
    defaults = {**inherited, **{name: namespace.pop(name) for name in own if name in namespace}}
    make: Callable[..., type[_T]] = type(cls)
    made = make(
        cls.__name__,
        cls.__bases__,
        {
            **_methods(names),
            **namespace,
            "__slots__": tuple(own),
            "__match_args__": names,
            "_defaults": defaults,
        },
    )
    if "__init__" not in namespace:
        setters = tuple(getattr(made, name).__set__ for name in names)
        type.__setattr__(made, "__init__", _init(cls.__qualname__, names, setters, defaults))
    return made


def replaced(old: _T, **changes: object) -> _T:
    """Give a record like `old` with some fields changed."""
    return type(old)(**{**_state(old), **changes})


def _state(of: Any) -> dict[str, object]:
    return {name: getattr(of, name) for name in type(of).__match_args__}


def _init(
    owner: str,
    names: tuple[str, ...],
    setters: tuple[_Setter, ...],
    defaults: Mapping[str, object],
) -> Callable[..., None]:
    count = len(names)

    def __init__(self: object, *values: object, **named: object) -> None:
        if named or len(values) != count:
            given = {**defaults, **dict(zip(names, values, strict=False)), **named}
            if len(values) > count or len(given) != count or not given.keys() <= set(names):
                raise TypeError(f"{owner}() takes the fields {', '.join(names) or '(none)'}")
            values = tuple(given[name] for name in names)
        for put, value in zip(setters, values, strict=True):
            put(self, value)

    return __init__


def _fields_of(names: tuple[str, ...]) -> Callable[[object], tuple[object, ...]]:
    """Give what reads all fields of a record."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda of: tuple(getattr(of, name) for name in names)


def _methods(names: tuple[str, ...]) -> dict[str, Any]:
    fields = _fields_of(names)

    def __eq__(self: object, other: object) -> bool:
        return fields(self) == fields(other) if type(other) is type(self) else NotImplemented

    def __hash__(self: object) -> int:
        return hash(fields(self))

    def __repr__(self: object) -> str:
        public = (name for name in names if not name.startswith("_"))
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in public)
        return f"{type(self).__qualname__}({shown})"

    return {"__eq__": __eq__, "__hash__": __hash__, "__repr__": __repr__, **_FROZEN}


def _refuse(self: object, name: str, value: object = None) -> None:
    raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be changed")


def _getstate(self: object) -> dict[str, object]:
    return _state(self)


def _setstate(self: object, state: Mapping[str, object]) -> None:
    for name, value in state.items():
        object.__setattr__(self, name, value)


_FROZEN: dict[str, Any] = {
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}

"""The type of what can be written as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]

"""For how long clients are waited for, as it is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from shoal.git.config import GitConfig

STALL: Final = 300.0  # seconds for which a client may send or take nothing in a transfer


def seconds_of(config: GitConfig, key: str, usual: float) -> float:
    """Give the seconds that `key` sets: more than none, and not for ever."""
    seconds = config.get_float(key, usual)
    return seconds if 0 < seconds < float("inf") else usual


def stall_of(config: GitConfig) -> float:
    """Give the seconds for which a client may send or take nothing in a transfer."""
    return seconds_of(config, "shoal.client-stall-time", STALL)

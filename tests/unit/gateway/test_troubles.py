"""How often the operator hears of a node's troubles."""

from __future__ import annotations

from shoal.errors import RemoteUnavailable
from shoal.gateway.troubles import Troubles


def test_a_trouble_is_told_once_until_it_has_lasted_or_changed() -> None:
    told: list[str] = []
    now = 1000.0
    troubles = Troubles(lambda error: told.append(str(error)), lambda: now)
    away, broken = RemoteUnavailable("n1", "away"), RemoteUnavailable("n1", "broken")
    troubles.hear("n1", away)
    troubles.hear("n1", away)
    troubles.hear("n2", away)
    troubles.hear("n1", broken)  # too soon after the other
    assert told == [str(away), str(away)]
    now += 11
    troubles.hear("n1", broken)
    now += 500
    troubles.hear("n1", broken)
    assert told[2:] == [str(broken)]
    now += 101
    troubles.hear("n1", broken)
    assert told[2:] == [str(broken), str(broken)]

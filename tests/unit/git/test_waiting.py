"""Work that must not wait."""

from __future__ import annotations

import threading

import pytest

from shoal.git.waiting import WouldWait, about_to_wait, must_not_wait, without_waiting


def test_in_a_block_nobody_waits() -> None:
    about_to_wait()
    with without_waiting():
        with without_waiting():
            assert must_not_wait()
        with pytest.raises(WouldWait):
            about_to_wait()
    assert not must_not_wait()
    about_to_wait()


def test_a_block_that_fails_has_ended() -> None:
    with pytest.raises(WouldWait), without_waiting():
        about_to_wait()
    about_to_wait()


def test_other_threads_may_wait() -> None:
    told: list[bool] = []
    with without_waiting():
        thread = threading.Thread(target=lambda: told.append(must_not_wait()))
        thread.start()
        thread.join()
    assert told == [False]

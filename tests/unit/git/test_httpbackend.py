"""What git-http-backend is started with."""

from __future__ import annotations

import pytest

from shoal.git.httpbackend import backend


def test_pushing_is_allowed_or_refused_each_time() -> None:
    for may_push, word in ((True, "http.receivepack=true"), (False, "http.receivepack=false")):
        assert word in backend("/r/.git", {}, may_push=may_push).words


def test_nothing_of_the_server_s_environment_that_is_secret_or_of_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (
        "GIT_ANNEX_P2PHTTP_PASSWORD_a",
        "HTTP_X",
        "REMOTE_USER",
        "GIT_PROTOCOL",
        "GIT_DIR",
    ):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("LANG", "C.UTF-8")
    environment = backend("/r/.git", {"REMOTE_ADDR": "::1"}, may_push=False).environment
    assert environment["GIT_PROJECT_ROOT"] == "/r/.git"
    assert environment["REMOTE_ADDR"] == "::1"
    assert environment["LANG"] == "C.UTF-8"
    assert "x" not in environment.values()

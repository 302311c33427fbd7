"""Command lines of ssh, as the real program makes them."""

from __future__ import annotations

import pytest

from shoal.errors import ConfigError
from shoal.transport.ssh import SshPlace, SshProgram, fits_a_socket, git_ssh_from, shell_command
from shoal.values.uuid import UUID

SERVER = UUID("55555555-5555-4555-8555-555555555555")
CLIENT = "cccccccc-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("ssh://user@Example.com:2222/srv/annex", "user@Example.com", 2222, "/srv/annex"),
        ("ssh://host/~/annex%20x", "host", None, "/~/annex x"),
        ("git+ssh://host", "host", None, "/"),
        ("ssh://[::1]:22/x", "::1", 22, "/x"),
        ("host:annex", "host", None, "/~/annex"),
        ("user@host:/srv/annex", "user@host", None, "/srv/annex"),
        ("[fe80::1]:/x", "fe80::1", None, "/x"),
        ("host:~bob/x", "host", None, "/~bob/x"),
    ],
)
def test_urls(url: str, host: str, port: int | None, path: str) -> None:
    assert SshPlace.parse(url) == SshPlace(host, port, path)


@pytest.mark.parametrize(
    "url", ["ssh://-oProxyCommand=x/y", "-oProxyCommand=x:y", "ssh:///x", "ssh://h:port/x", "plain"]
)
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigError):
        SshPlace.parse(url)


def test_the_command_is_the_real_one() -> None:
    place = SshPlace("user@example.com", 2222, "/REPO")
    program = SshProgram(socket=".git/annex/ssh/user@example.com!2222")
    command = shell_command(place, "p2pstdio", CLIENT, server=SERVER)
    assert program.words(place, command) == [
        "ssh", "user@example.com", "-S", ".git/annex/ssh/user@example.com!2222",
        "-o", "ControlMaster=auto", "-o", "ControlPersist=yes", "-p", "2222", "-T",
        f"git-annex-shell 'p2pstdio' '/REPO' '{CLIENT}' --uuid {SERVER}",
    ]  # fmt: skip


def test_what_the_other_shell_would_read_is_quoted() -> None:
    place = SshPlace("h", None, "/it's; rm -rf $HOME")
    command = shell_command(place, "configlist", shell="/opt/git-annex-shell")
    assert command == "/opt/git-annex-shell 'configlist' '/it'\"'\"'s; rm -rf $HOME'"


def test_options_and_no_input() -> None:
    program = SshProgram(("-i", "key"))
    words = program.words(SshPlace("h", None, "/"), "true", reads_stdin=False)
    assert words == ["ssh", "h", "-i", "key", "-n", "-T", "true"]


def test_gits_ssh_gets_no_options() -> None:
    environment = {"GIT_SSH_COMMAND": "my ssh", "GIT_SSH": "other"}
    assert git_ssh_from(environment) == ()
    environment["GIT_ANNEX_USE_GIT_SSH"] = "1"
    assert git_ssh_from(environment)[:3] == ("sh", "-c", 'my ssh "$@"')
    del environment["GIT_SSH_COMMAND"]
    program = SshProgram(("-v",), "socket", git_ssh_from(environment))
    assert program.words(SshPlace("h", 7, "/"), "x") == ["other", "h", "-p", "7", "x"]


def test_sockets_have_short_names() -> None:
    assert SshPlace("user%x@h", 7, "/").socket_name() == "userx@h!7"
    long = SshPlace("h" * 40, None, "/").socket_name()
    assert len(long) == 32
    assert fits_a_socket("x" * 83)
    assert not fits_a_socket("x" * 84)
    program = SshProgram(socket="/a/b/h")
    assert program.stop_words()[:5] == ["ssh", "-O", "stop", "-S", "./h"]

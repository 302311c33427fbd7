"""shoal-shell answers first, and imports what it needs later."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from shoal.git.repository import Repository
from shoal.logs.proxy import Proxied
from shoal.values.uuid import UUID
from tests.support.annexrepo import key_of, make_annex
from tests.support.quick_cluster import CLUSTER, make_cluster
from tests.support.wait import wait_until
from tests.support.world import World

HEAVY = {"asyncio", "dataclasses", "inspect", "logging", "ssl", "tempfile", "json", "sqlite3"}
UNNEEDED = {"shoal.git.annexlogs", "shoal.git.branch", "shoal.server.p2p_session"}
SHELL = (
    "import sys; from shoal.cli.shell import main; code = main(); "
    "print(*sys.modules, file=sys.stderr); sys.exit(code)"
)


def converse(
    repository: Path, *lines: str, options: Sequence[str] = ()
) -> tuple[list[str], set[str]]:
    """Say all lines at once; give what is answered, and the modules that were imported."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", SHELL, "p2pstdio", repository, "client", *options],
        input="".join(f"{line}\n" for line in lines), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()[1:], set(done.stderr.splitlines()[-1].split())


KEY = key_of(b"content")


@pytest.fixture
def annex(tmp_path: Path) -> Path:
    with make_annex(tmp_path / "annex") as made:
        path = Path(made.objects.location(KEY))
        path.parent.mkdir(parents=True)
        path.write_bytes(b"content")
        return Path(made.path)


def test_a_question_is_answered_with_next_to_nothing(annex: Path) -> None:
    absent = key_of(b"other")
    asked = ["VERSION 4", "BYPASS", f"CHECKPRESENT {KEY}", f"CHECKPRESENT {absent}", "WHAT"]
    answers, modules = converse(annex, *asked)
    assert answers == ["VERSION 4", "SUCCESS", "FAILURE", "ERROR unknown command"]
    assert modules & (HEAVY | UNNEEDED) == set()


def test_content_is_sent_with_next_to_nothing(annex: Path) -> None:
    requests = ["VERSION 4"]
    for offset in (0, 5, 7, 70):
        requests += [f"GET {offset}  {KEY}", "SUCCESS"]
    answers, modules = converse(annex, *requests, f"CHECKPRESENT {KEY}")
    assert answers == [
        "VERSION 4", "DATA 7", "contentVALID", "DATA 2", "ntVALID", "DATA 0", "VALID", "DATA 0",
        "VALID", "SUCCESS",
    ]  # fmt: skip
    assert modules & (HEAVY | UNNEEDED) == set()


def test_content_that_is_not_here_is_looked_for_with_care(annex: Path) -> None:
    answers, modules = converse(
        annex, "VERSION 4", f"GET 0  {key_of(b'other')}", "FAILURE", f"GET 0  {KEY}", "SUCCESS"
    )
    assert answers == ["VERSION 4", "DATA 0", "INVALID", "DATA 7", "contentVALID"]
    assert "asyncio" in modules


class Downloading:
    """A client in the middle of a download that is larger than what pipes hold."""

    def __init__(self, annex: Path) -> None:
        content = b"0123456789abcdef" * (1 << 18)
        self.key = key_of(content)
        with Repository.open(annex) as opened:
            self.object = Path(opened.objects.location(self.key))
        self.object.parent.mkdir(parents=True)
        self.object.write_bytes(content)
        self.transfers = annex / ".git" / "annex" / "transfer"
        self.shell = subprocess.Popen(
            [sys.executable, "-I", "-c", SHELL, "p2pstdio", annex, "client"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(f"VERSION 4\nGET 1 file {self.key}\n".encode())
        self.shell.stdin.flush()
        for line in (None, b"VERSION 4\n", b"DATA %d\n" % (len(content) - 1)):
            assert self.shell.stdout.readline() == line or line is None
        self.content = content

    def transfer(self, kind: str) -> Path:
        """Give the file that tells of the transfer."""
        return self.transfers / kind / "client" / str(self.key)

    def finish(self) -> tuple[bytes, bytes, str]:
        """Download the rest; give it, what is said about it, and what is told to people."""
        assert self.shell.stdout is not None
        got = self.shell.stdout.read(len(self.content) - 1)
        validity = self.shell.stdout.readline()
        _, errors = self.shell.communicate(b"SUCCESS\n", timeout=60)
        return got, validity, errors.decode()


def test_a_large_content_is_sent_as_it_is(annex: Path) -> None:
    """While that is under way others can see it."""
    client = Downloading(annex)
    assert b"file" in client.transfer("upload").read_bytes()
    got, validity, errors = client.finish()
    assert got == client.content[1:]
    assert validity == b"VALID\n"
    assert "asyncio" not in errors.split()
    assert not client.transfer("upload").exists()
    assert not client.transfer("failed/upload").exists()


def test_content_that_changes_while_it_is_sent_is_not_vouched_for(annex: Path) -> None:
    client = Downloading(annex)
    with client.object.open("r+b") as file:
        file.write(b"changed")
    os.utime(client.object, ns=(1, 1))
    _, validity, _ = client.finish()
    assert validity == b"INVALID\n"


def test_content_that_is_removed_while_it_is_sent_was_the_content(annex: Path) -> None:
    client = Downloading(annex)
    client.object.unlink()
    got, validity, _ = client.finish()
    assert (got, validity) == (client.content[1:], b"VALID\n")


def test_a_content_that_becomes_shorter_ends_the_session(annex: Path) -> None:
    client = Downloading(annex)
    os.truncate(client.object, 0)
    got, validity, errors = client.finish()
    assert len(got) < len(client.content) - 1
    assert validity == b""
    assert "the content ended early" in errors
    assert client.shell.returncode == 1


def test_a_client_that_leaves_in_the_middle_of_a_download_is_noted(annex: Path) -> None:
    client = Downloading(annex)
    assert client.shell.stdout is not None
    client.shell.stdout.close()
    assert client.shell.wait(60) == 1
    assert client.shell.stdin is not None
    assert client.shell.stderr is not None
    assert b"connection lost" in client.shell.stderr.read()
    client.shell.stdin.close()
    client.shell.stderr.close()
    assert not client.transfer("upload").exists()
    assert client.transfer("failed/upload").exists()


def test_what_needs_more_is_handed_over_with_what_came_after_it(annex: Path) -> None:
    """All requests come in one piece; none is lost, none is answered twice."""
    new = key_of(b"new")
    answers, modules = converse(
        annex, "VERSION 3", f"CHECKPRESENT {KEY}", f"LOCKCONTENT {KEY}", "UNLOCKCONTENT",
        f"PUT  {new}", "DATA 3", "newVALID", f"CHECKPRESENT {new}", "DATA-PRESENT",
    )  # fmt: skip
    assert answers == [
        "VERSION 3", "SUCCESS", "SUCCESS", "PUT-FROM 0", "SUCCESS", "SUCCESS",
        "ERROR unexpected command",
    ]  # fmt: skip
    assert "asyncio" in modules


def test_content_that_may_be_edited_is_looked_at_with_care(annex: Path) -> None:
    """With annex.thin an object may be a file of the work tree: existence is not presence."""
    subprocess.run(["git", "-C", annex, "config", "annex.thin", "true"], check=True)
    with Repository.open(annex) as opened:
        path = Path(opened.objects.location(KEY))
    path.write_bytes(b"changed")
    path.chmod(0o644)
    answers, _ = converse(annex, f"CHECKPRESENT {KEY}")
    assert answers == ["FAILURE"]


def test_an_empty_place_of_objects_does_not_read_as_absent(annex: Path) -> None:
    """The objects are on a disk of their own, and it has gone away."""
    objects = annex / ".git" / "annex" / "objects"
    objects.rename(annex / "elsewhere")
    objects.symlink_to(annex / "gone")
    done = subprocess.run(
        [sys.executable, "-I", "-c", SHELL, "p2pstdio", annex, "client"],
        input=f"CHECKPRESENT {KEY}\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == []
    assert "its disk went away" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_greeting_comes_before_the_rest_is_imported(annex: Path) -> None:
    script = (
        "import sys, os; from shoal.cli import shell; "
        "shell._serve_own = lambda *args: print(*sys.modules) or 0; sys.exit(shell.main())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, "p2pstdio", annex, "client"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    modules = set(done.stdout.split())
    assert modules & (HEAVY | UNNEEDED | {"shoal.p2p.server", "shoal.git.objects"}) == set()


def test_a_cluster_is_greeted_for_before_the_gateway_is_imported(annex: Path) -> None:
    cluster = "ac1aaaaa-0000-8000-8000-000000000001"
    with Repository.open(annex) as repository:
        repository.logs.set_proxies(repository.uuid, [Proxied(UUID(cluster), "mycluster")])
    script = (
        "import sys; from shoal.cli import shell; greet = shell._greet; "
        "shell._greet = lambda uuid: [greet(uuid), print(*sys.modules), sys.exit()]; shell.main()"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, "p2pstdio", annex, "client", "--uuid", cluster],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    greeting, modules = done.stdout.splitlines()
    assert greeting == f"AUTH-SUCCESS {cluster}"
    assert {"asyncio", "logging", "shoal.gateway.served"} & set(modules.split()) == set()


def test_who_asks_a_cluster_does_not_wait_for_what_decides_about_uploads(world: World) -> None:
    """Nor for what merges, when there is another git-annex branch and all of it is merged."""
    gateway = make_cluster(world)
    world.git(gateway.path, "update-ref", "refs/remotes/node1/git-annex", "git-annex")
    answers, modules = converse(
        gateway.path, "VERSION 4", f"CHECKPRESENT {KEY}", options=["--uuid", CLUSTER]
    )
    assert answers == ["VERSION 4", "FAILURE"]
    assert "shoal.gateway.cluster" in modules
    unneeded = {"shoal.gateway.placing", "shoal.gateway.choosing", "shoal.git.merging"}
    unneeded |= {"shoal.git.lockdown", "shoal.preferred.expr", "shoal.values.size"}
    assert modules & unneeded == set()


def test_what_a_silent_client_will_need_is_imported_meanwhile(annex: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-I", "-c", SHELL, "p2pstdio", annex, "client"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as shell:  # fmt: skip
        assert shell.stdin is not None
        assert shell.stdout is not None
        assert shell.stderr is not None
        shell.stdout.readline()
        wait_until(lambda: "asyncio" in Path(f"/proc/{shell.pid}/maps").read_text(), 30)
        shell.stdin.write("VERSION 4\n")
        shell.stdin.close()
        assert shell.stdout.read() == "VERSION 4\n"
        assert "asyncio" in shell.stderr.read().split()


def test_a_client_that_has_gone_is_no_error(annex: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-I", "-c", SHELL, "p2pstdio", annex, "client"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as shell:  # fmt: skip
        assert shell.stdin is not None
        assert shell.stdout is not None
        assert shell.stderr is not None
        shell.stdout.readline()
        shell.stdout.close()
        shell.stdin.write("VERSION 4\n")
        shell.stdin.close()
        assert "Traceback" not in shell.stderr.read()
        assert shell.wait() == 0

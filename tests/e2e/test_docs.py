"""The documentation is true: its examples run, its links lead somewhere, nothing is left out."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shoal.cli.main import SECTIONS
from tests.support.gateway import free_port
from tests.support.p2p_network import daemons_of
from tests.support.world import World

ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
COMMANDS = [name for _, commands in SECTIONS for name, _, _ in commands]
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#]+)(#[^)]*)?\)")
_WAIT = (
    "import socket, time\nwhile socket.socket().connect_ex(('127.0.0.1', {port})): time.sleep(0.05)"
)


def _examples(page: str) -> str:
    return "\n".join(_SHELL.findall((ROOT / page).read_text()))


def _adapted(script: str, port: int) -> str:
    """Let the server listen on a free port, in the background, and wait for it."""
    lines = []
    for line in script.splitlines():
        if line.startswith("shoal p2phttp"):
            words = line.removesuffix("&").split()
            if "--bind" not in words:
                words += ["--bind", "127.0.0.1"]
            lines.append(f"{' '.join(words)} --port {port} >server.log 2>&1 &")
            lines.append("server=$!; trap 'kill $server; wait $server' EXIT")
            lines.append(f'{sys.executable} -c "{_WAIT.format(port=port)}"')
        else:
            lines.append(line.replace("http://localhost/", f"http://localhost:{port}/"))
    return "\n".join(lines)


def _run_script(script: str, cwd: Path) -> str:
    done = subprocess.run(
        ["sh", "-eux", "-c", script],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_quickstart_runs(world: World) -> None:
    said = _run_script(_adapted(_examples("docs/quickstart.md"), free_port()), world.root)
    assert said.count("hello.txt") > 5
    assert "\nhello\n" in said


def test_the_readme_s_cluster_runs(world: World) -> None:
    """The examples of README.md, in a gateway and a client's clone as it assumes them."""
    for name in ("disk1", "disk2", "gateway"):
        world.make(name)
    gateway = world.root / "gateway"
    for name in ("disk1", "disk2"):
        world.git(gateway, "remote", "add", name, f"../{name}")
    server, client = _SHELL.findall((ROOT / "README.md").read_text())
    clone = "cd ..; git clone -q gateway laptop; cd laptop; git annex init -q\n"
    file = "echo content > file; git annex add -q file; git commit -q -m file\n"
    script = f"cd gateway\n{server}{clone}{file}{client}"
    said = _run_script(_adapted(script, free_port()), world.root)
    assert "ok" in said
    key = world.annex(world.root / "laptop", "lookupkey", "file").strip()
    for name in ("disk1", "disk2"):
        assert world.annex(world.root / name, "contentlocation", key)


def _gateway_with_disks(world: World) -> None:
    """Make a gateway whose cluster has disk1 and disk2, and one file."""
    for name in ("disk1", "disk2", "gateway"):
        world.make(name)
    gateway = world.root / "gateway"
    world.run("shoal", "initcluster", "mycluster", cwd=gateway)
    for name in ("disk1", "disk2"):
        world.git(gateway, "remote", "add", name, f"../{name}")
        world.git(gateway, "fetch", "-q", name)
        world.git(gateway, "config", f"remote.{name}.annex-cluster-node", "mycluster")
    world.run("shoal", "updatecluster", cwd=gateway)
    world.add(gateway, "file", b"content")


def test_the_examples_of_peer_to_peer_networks_run(world: World) -> None:
    try:
        said = _run_script(_examples("docs/p2p.md"), world.root)
    finally:
        for pid in daemons_of(world.root / "photos"):
            os.kill(pid, signal.SIGTERM)
    assert "copy hello.txt (to photos...) ok" in said
    assert " -- photos\n" in said


def test_the_examples_of_git_over_http_run(world: World) -> None:
    _gateway_with_disks(world)
    port = free_port()
    script = _adapted(_examples("docs/git-http.md"), port).replace(":9417/", f":{port}/")
    said = _run_script(script, world.root / "gateway")
    assert "get file (from origin...)" in said
    assert "copy file (to origin-mycluster...)" in said


def test_the_examples_of_the_lockdown_run(world: World) -> None:
    _gateway_with_disks(world)
    world.run("git", "clone", "-q", "gateway", "laptop")
    world.annex(world.root / "laptop", "init", "-q", "laptop")
    said = _run_script(_examples("docs/security.md"), world.root)
    assert "changes the maximum size of disk1 (maxsize.log)" in said
    assert "\nrefused\n" in said
    world.annex(world.root / "gateway", "merge")
    assert world.annex(world.root / "gateway", "maxsize", "disk1").strip() == "100.0 GB"


def test_the_examples_of_operating_run(world: World) -> None:
    said = _run_script(_examples("docs/operating.md"), world.root)
    assert "nodes: 3, 3 up" in said
    assert "group store: 2 wanted, 3 members, 3 candidates" in said


def test_over_ssh(world: World) -> None:
    """The line in authorized_keys lets its key's owner use one repository, and no other."""
    _run_script(_examples("docs/ssh.md"), world.root)
    keys = Path(os.environ["HOME"], ".ssh", "authorized_keys").read_text()
    command = re.findall(r'^restrict,command="(.*)" ssh-ed25519 ', keys)[0].replace('\\"', '"')

    def asks(directory: Path) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "SSH_ORIGINAL_COMMAND": f"git-annex-shell 'configlist' '{directory}'"}
        return subprocess.run(
            ["sh", "-c", command], env=env, capture_output=True, text=True, check=False
        )

    uuid = world.git(world.root / "photos", "config", "annex.uuid")
    assert asks(world.root / "photos").stdout.startswith(f"annex.uuid={uuid}\n")
    assert "Only allowed to access" in asks(world.root / "other").stderr
    assert (world.root / "bin" / "git-annex-shell").resolve().name == "shoal-shell"


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [found[1] for found in _LINK.finditer(page.read_text())]
    local = [target for target in targets if not target.startswith(("http:", "https:"))]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_every_command_is_in_the_list_of_commands() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text()
    stated = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (full|partial) \|", page, re.MULTILINE))
    [ours] = re.findall(r"^Not in git-annex: (.*)\.$", page, re.MULTILINE)
    stated |= {name.strip("`"): "ours" for name in ours.split(", ")}
    assert [name for name in COMMANDS if name not in stated] == []


def test_the_compatibility_page_is_up_to_date() -> None:
    """Run `make docs` when this fails."""
    path = ROOT / "docs" / "make_compatibility.py"
    spec = importlib.util.spec_from_file_location("make_compatibility", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page() == (ROOT / "docs" / "compatibility.md").read_text()


def test_every_option_of_the_server_is_described() -> None:
    shown = subprocess.run(
        ["shoal", "p2phttp", "--help"], capture_output=True, text=True, check=True
    ).stdout
    own = shown.partition("options of every command")[0]
    described = (ROOT / "docs" / "gateway.md").read_text()
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", own)) - {"--help"}
    assert options
    assert [option for option in sorted(options) if f"`{option}" not in described] == []


def test_every_setting_of_our_own_is_described() -> None:
    code = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    named = set(re.findall(r"[\"'](shoal\.(?:unwanted|[a-z]+-[a-z-]+))[\"']", code))
    described = (ROOT / "docs" / "gateway.md").read_text()
    listed = (ROOT / "docs" / "compatibility.md").read_text()
    assert named
    assert [name for name in sorted(named) if name not in described] == []
    assert [name for name in sorted(named) if f"`{name}`" not in listed] == []


def test_the_tests_that_are_named_exist() -> None:
    page = (ROOT / "docs" / "differences.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 30
    assert [
        f"{path}::{name}"
        for path, name in named
        if not re.search(rf"def {name}\b", (ROOT / path).read_text())
    ] == []


def test_the_makefile_knows_what_the_pages_name() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = {name for page in DOCS for name in re.findall(r"`make ([a-z-]+)", page.read_text())}
    assert {name for name in named if f"\n{name}:" not in makefile} == set()


def test_the_programs_of_the_examples_are_there() -> None:
    assert shutil.which("shoal", path=os.environ["PATH"]) is not None

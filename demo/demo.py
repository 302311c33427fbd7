"""Build a cluster on this disk, use it over HTTP, lose a node, and go on.

    make demo          build it (again), and leave its server running
    make clean-demo    stop the server and remove everything

Everything is below .demo/ (or $SHOAL_DEMO_DIR). Each command is shown before it runs, so that
this is also a transcript to learn from.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DEMO = Path(os.environ.get("SHOAL_DEMO_DIR", PROJECT / ".demo")).resolve()
GATEWAY, LAPTOP = DEMO / "gateway", DEMO / "laptop"
NODES = {"node-a": DEMO / "node-a", "node-b": DEMO / "node-b.git", "node-c": DEMO / "node-c"}
CLUSTER = "mycluster"
COPIES = 2
START_TIME = 30  # seconds that the server may take to start, and to stop

BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")


def say(text: str) -> None:
    print(f"\n{BOLD}== {text}{PLAIN}", flush=True)


def run(*words: str, cwd: Path, shown: int = 12) -> str:
    """Show a command and (at most `shown` lines of) its output; stop the demo when it fails."""
    print(f"{cwd.name}$ {' '.join(words)}", flush=True)
    done = subprocess.run(
        words,
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode != 0:
        shown = len(lines)
    for line in lines[:shown]:
        print(f"    {line}")
    if len(lines) > shown:
        print(f"    … {len(lines) - shown} more lines")
    if done.returncode != 0:
        sys.exit(f"this failed with exit code {done.returncode}")
    return done.stdout


def environment() -> dict[str, str]:
    """The shoal of this Python comes first; no configuration of yours gets in the way."""
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": str(DEMO / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def build_cluster() -> None:
    say("A gateway, and three nodes: two repositories with work trees, one bare")
    DEMO.mkdir(parents=True)
    (DEMO / "gitconfig").write_text(
        "[user]\n\tname = Shoal Demo\n\temail = demo@example.org\n"
        "[init]\n\tdefaultBranch = main\n"
        '[annex "security"]\n\tallowed-ip-addresses = 127.0.0.1\n'
    )
    run("git", "init", "-q", "gateway", cwd=DEMO)
    run("git", "commit", "-q", "--allow-empty", "-m", "an empty gateway", cwd=GATEWAY)
    run("shoal", "init", "gateway", cwd=GATEWAY)
    for name, path in NODES.items():
        bare = ["--bare"] if path.suffix == ".git" else []
        run("git", "init", "-q", *bare, path.name, cwd=DEMO)
        run("shoal", "init", name, cwd=path)
        run("git", "remote", "add", name, f"../{path.name}", cwd=GATEWAY)
        run("git", "config", f"remote.{name}.annex-cluster-node", CLUSTER, cwd=GATEWAY)
    run("git", "fetch", "-q", "--all", cwd=GATEWAY)

    say("Together they are a cluster")
    run("shoal", "initcluster", CLUSTER, cwd=GATEWAY)
    run("shoal", "updatecluster", cwd=GATEWAY)

    say(f"Each file goes to {COPIES} of the three nodes, and {COPIES} copies are needed of each")
    for name in NODES:
        run("shoal", "group", name, "pool", cwd=GATEWAY)
        run("shoal", "wanted", name, f"balanced=pool:{COPIES}", cwd=GATEWAY)
        run("shoal", "maxsize", name, "10GB", cwd=GATEWAY)
    run("shoal", "numcopies", str(COPIES), cwd=GATEWAY)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server() -> str:
    """Start the gateway's server in the background; give its address."""
    say("The gateway's server (open to everybody on this machine: it is a demo)")
    port = free_port()
    words = ["shoal", "p2phttp", "--bind", "127.0.0.1", "--port", str(port), "-J4", "--wideopen"]
    print(f"gateway$ {' '.join(words)} &", flush=True)
    with (DEMO / "server.log").open("w") as log:
        server = subprocess.Popen(
            words,
            cwd=GATEWAY,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (DEMO / "server.pid").write_text(f"{server.pid}\n")
    deadline = time.monotonic() + START_TIME
    while not answers(port):
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"the server did not start:\n{(DEMO / 'server.log').read_text()}")
        time.sleep(0.05)
    return f"127.0.0.1:{port}"


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def make_client(address: str) -> None:
    say("A client: a clone that uses the gateway over HTTP")
    run("git", "clone", "-q", "gateway", "laptop", cwd=DEMO)
    url = f"annex+http://{address}/git-annex/"
    run("git", "config", "remote.origin.annexUrl", url, cwd=LAPTOP)
    run("shoal", "init", "laptop", cwd=LAPTOP)


def collect_files() -> dict[str, str]:
    """Put real files into the client: Python's own modules, and one large file."""
    library = Path(sysconfig.get_path("stdlib"))
    modules = sorted(library.glob("*.py"), key=lambda path: -path.stat().st_size)[:24]
    target = LAPTOP / "library"
    target.mkdir()
    for module in modules:
        shutil.copyfile(module, target / module.name)
    (LAPTOP / "film.bin").write_bytes(random.Random(2026).randbytes(48_000_000))
    return checksums()


def checksums() -> dict[str, str]:
    files = [LAPTOP / "film.bin", *sorted((LAPTOP / "library").iterdir())]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def store_and_drop() -> tuple[dict[str, str], str]:
    """Give the checksums of all files, and the name of a node that has the largest."""
    say("Files: some of Python's modules, and one of 48 MB")
    before = collect_files()
    run("shoal", "add", "film.bin", "library", cwd=LAPTOP, shown=4)
    run("git", "commit", "-q", "-m", "add files", cwd=LAPTOP)
    run("shoal", "copy", "--to", f"origin-{CLUSTER}", ".", cwd=LAPTOP, shown=4)

    say(f"Drop them here. {COPIES} nodes each have to promise that they keep their copy")
    run("shoal", "drop", ".", cwd=LAPTOP, shown=4)
    missing = [path for path in (LAPTOP / "library").iterdir() if not path.exists()]
    print(f"    {len(missing)} files of library/ are no longer here")
    whereis = run("shoal", "whereis", "film.bin", cwd=LAPTOP)
    return before, next(name for name in NODES if f"[origin-{name}]" in whereis)


def lose_a_node(before: dict[str, str], name: str) -> None:
    say(f"Unplug {name}, which has the large file, and get everything back from the others")
    plugged = NODES[name]
    away = plugged.with_name(f"{plugged.name}.unplugged")
    plugged.rename(away)
    print(f"{DEMO.name}$ mv {plugged.name} {away.name}")
    run("shoal", "get", ".", cwd=LAPTOP, shown=4)
    if checksums() != before:
        sys.exit("the files that came back are not the same")
    print(f"    all {len(before)} files are back, and their checksums are right")
    away.rename(plugged)
    print(f"{DEMO.name}$ mv {away.name} {plugged.name}")


def show_sizes() -> None:
    say("What the gateway knows: where things are, and how full the nodes are")
    run("shoal", "maxsize", cwd=GATEWAY)
    run("shoal", "whereis", "film.bin", cwd=LAPTOP)
    run("shoal", "info", cwd=GATEWAY, shown=40)


def show_what_next(address: str) -> None:
    shoal = shutil.which("shoal", path=environment()["PATH"])
    cluster = run("git", "config", f"annex.cluster.{CLUSTER}", cwd=GATEWAY).strip()
    say(f"Done. The server still runs at http://{address}/git-annex/")
    print(f"""
Some things to try:

    cd {LAPTOP}
    alias shoal={shoal}
    shoal whereis library/
    shoal find --in origin-node-a
    shoal drop film.bin && shoal get film.bin
    shoal copy --to origin-node-a film.bin
    curl -I http://{address}/git-annex/{cluster}/key/$(shoal lookupkey film.bin)
    cd {GATEWAY}
    shoal wanted node-a
    shoal info node-a

A real git-annex can be used in the same directories, too. Stop the server and remove
everything with:

    make clean-demo
""")


def stop_server() -> None:
    """End the server of an earlier run, if it still is that server."""
    pid_file = DEMO / "server.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    for sign in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + START_TIME
        while is_server(pid) and time.monotonic() < deadline:
            os.kill(pid, sign)
            time.sleep(0.1)
    pid_file.unlink()


def is_server(pid: int) -> bool:
    if Path("/proc/self").exists():
        try:
            return b"p2phttp" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
    words = ["ps", "-p", str(pid), "-o", "args="]
    return "p2phttp" in subprocess.run(words, capture_output=True, text=True, check=False).stdout


def clean() -> None:
    stop_server()
    if not DEMO.exists():
        return
    for directory, _, _ in os.walk(DEMO):
        os.chmod(directory, 0o755)  # git-annex protects its objects from removal
    shutil.rmtree(DEMO)


def main() -> None:
    clean()
    if sys.argv[1:] == ["--clean"]:
        return
    started = time.monotonic()
    build_cluster()
    address = start_server()
    make_client(address)
    before, holder = store_and_drop()
    lose_a_node(before, holder)
    show_sizes()
    show_what_next(address)
    print(f"This took {time.monotonic() - started:.0f} seconds.")


if __name__ == "__main__":
    main()

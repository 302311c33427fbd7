"""What the machine itself can do, to hold the gateway's figures against.

    python -m benchmarks.yardsticks [--size MIB]

nginx's sendfile for a GET, and how often it gives an empty answer over one connection (left out,
with a word, where nginx is not installed); SHA-256 of one core, and writing two copies of the
same bytes, as a cluster of two nodes must. Each is the best of three, as in benchmarks.gateway.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from benchmarks.clusters import free_port, wait_for
from benchmarks.http_load import Connection, request_bytes, run_requests

_NGINX = """\
daemon off; master_process off; worker_processes 1; pid {work}/nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on;
  client_body_temp_path {work}/body; proxy_temp_path {work}/proxy;
  fastcgi_temp_path {work}/fastcgi; uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
  server {{ listen 127.0.0.1:{port}; root {root};
    location = /empty {{ keepalive_requests 1000000; return 200; }} }}
}}
"""
_EMPTY_ANSWERS = 10_000

T = TypeVar("T")


def nginx_get(work: Path, file: Path) -> float | None:
    """Give MB/s of the best of three GETs of `file` from nginx; None without nginx."""
    return _with_nginx(work, file, lambda port: max(_timed_get(port, file) for _ in range(3)))


def nginx_empty(work: Path, file: Path) -> float | None:
    """Give how many empty answers nginx gives in a second over one connection, one after the
    other, in the best of three tries; None without nginx."""
    requests = [request_bytes("GET", "/empty")] * _EMPTY_ANSWERS

    def ask(port: int) -> float:
        return max(run_requests(port, requests, 1).per_second for _ in range(3))

    return _with_nginx(work, file, ask)


def _with_nginx(work: Path, file: Path, measure: Callable[[int], T]) -> T | None:
    """Measure nginx at a port of this machine, where it serves `file`."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        return None
    port = free_port()
    (work / "nginx.conf").write_text(_NGINX.format(work=work, root=file.parent, port=port))
    os.chmod(work, 0o755)  # nginx's worker may be another user
    process = subprocess.Popen(
        [nginx, "-e", "stderr", "-p", str(work), "-c", str(work / "nginx.conf")],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process)
        return measure(port)
    finally:
        process.terminate()
        process.wait(10)


def _timed_get(port: int, file: Path) -> float:
    connection = Connection(port)
    started = time.perf_counter()
    connection.request("GET", f"/{file.name}")
    seconds = time.perf_counter() - started
    connection.close()
    return file.stat().st_size / 1e6 / seconds


def hash_rate(file: Path) -> float:
    """Give MB/s of SHA-256 over `file`, read from the page cache."""
    started = time.perf_counter()
    with file.open("rb") as stream:
        hashlib.file_digest(stream, "sha256")
    return file.stat().st_size / 1e6 / (time.perf_counter() - started)


def two_copies(work: Path, file: Path) -> float:
    """Give MB/s of reading `file` once and writing it to two new files, 1 MiB at a time."""
    copies = [work / "copy1", work / "copy2"]
    for copy in copies:
        copy.unlink(missing_ok=True)
    started = time.perf_counter()
    with (
        file.open("rb", buffering=0) as source,
        copies[0].open("wb", buffering=0) as one,
        copies[1].open("wb", buffering=0) as two,
    ):
        while block := source.read(1 << 20):
            one.write(block)
            two.write(block)
    return file.stat().st_size / 1e6 / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("SHOAL_BENCH_DIR")) as where:
        work = Path(where)
        file = work / "big"
        block = os.urandom(1 << 20)
        with file.open("wb") as out:
            for _ in range(options.size):
                out.write(block)
        missing = "nginx is not installed"
        served, empty = nginx_get(work, file), nginx_empty(work, file)
        print("GET from nginx   ", missing if served is None else f"{served:8.0f} MB/s")
        print("empty answers    ", missing if empty is None else f"{empty:8.0f}/s")
        hashed = max(hash_rate(file) for _ in range(3))
        print(f"SHA-256, one core {hashed:8.0f} MB/s")
        written = max(two_copies(work, file) for _ in range(3))
        print(f"write two copies  {written:8.0f} MB/s")


if __name__ == "__main__":
    main()

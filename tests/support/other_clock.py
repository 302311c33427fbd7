"""git-annex-shell on a machine whose monotonic clock tells another time: for tests.

    python other_clock.py BEHIND PARAMETER...

BEHIND is how many seconds the clock there is behind that of this machine. Only the two messages
that tell times are changed on their way; contents cannot be sent through this.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import IO


def to_shell(behind: int, sink: IO[bytes]) -> None:
    for line in sys.stdin.buffer:
        word, *rest = line.split(b" ", 2)
        if word == b"REMOVE-BEFORE":
            line = b"REMOVE-BEFORE %d %s" % (int(rest[0]) + behind, rest[1])
        sink.write(line)
        sink.flush()
    sink.close()


def main(behind: int, parameters: list[str]) -> None:
    words = ["git-annex-shell", *parameters]
    shell = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert shell.stdin is not None
    assert shell.stdout is not None
    threading.Thread(target=to_shell, args=(behind, shell.stdin), daemon=True).start()
    for line in shell.stdout:
        word, _, rest = line.partition(b" ")
        if word == b"TIMESTAMP":
            line = b"TIMESTAMP %d\n" % (int(rest) - behind)
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

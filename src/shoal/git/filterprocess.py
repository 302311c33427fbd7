"""git's protocol for a filter that is started once and gets many files (gitattributes(5)).

Packets are four hexadecimal digits, the length with themselves, and data; `0000` ends a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, Final

from shoal.errors import ShoalError
from shoal.git.smudge import ENOUGH, Smudger

_LARGEST: Final = 65516  # bytes of data in one packet
_FLUSH: Final = b"0000"


class FilterProtocolError(ShoalError):
    """git sent what is not in the protocol."""


class Packets:
    """Packets on a pair of streams."""

    def __init__(self, source: IO[bytes], target: IO[bytes]) -> None:
        self._source = source
        self._target = target

    def read(self) -> bytes | None:
        """Give the next packet's data, None for the end of a list. Raises EOFError."""
        head = self._source.read(4)
        if not head:
            raise EOFError
        try:
            length = int(head, 16)
        except ValueError as error:
            raise FilterProtocolError(f"not a packet: {head!r}") from error
        if length == 0:
            return None
        data = self._source.read(length - 4) if length >= 4 else b""
        if length < 4 or len(data) != length - 4:
            raise FilterProtocolError("a packet is cut off")
        return data

    def read_list(self) -> Iterator[bytes]:
        """Give all packets up to the end of the list."""
        while (data := self.read()) is not None:
            yield data

    def read_text(self) -> list[bytes]:
        """Give a list of lines, without their newlines."""
        return [data.removesuffix(b"\n") for data in self.read_list()]

    def write_list(self, *packets: bytes) -> None:
        """Write a whole list of short packets."""
        for data in packets:
            self._write(data)
        self._target.write(_FLUSH)
        self._target.flush()

    def write_content(self, content: bytes) -> None:
        """Write a content of any size as a list."""
        for start in range(0, len(content), _LARGEST):
            self._write(content[start : start + _LARGEST])
        self._target.write(_FLUSH)

    def _write(self, data: bytes) -> None:
        self._target.write(b"%04x%s" % (len(data) + 4, data))


def serve(
    smudger: Smudger, source: IO[bytes], target: IO[bytes], warn: Callable[[str], None]
) -> None:
    """Filter what git asks for, until it closes the stream. `warn` gets messages for the user.

    Raises FilterProtocolError. A file that cannot be filtered is answered with an error, and
    git decides what that means (`filter.annex.required`).
    """
    packets = Packets(source, target)
    _shake_hands(packets)
    while True:
        try:
            request = packets.read_text()
        except EOFError:
            return
        fields = dict(line.partition(b"=")[::2] for line in request)
        command = fields.get(b"command", b"")
        file = fields.get(b"pathname", b"").decode("utf-8", "surrogateescape")
        if command == b"clean":
            _clean(smudger, packets, file, warn)
        elif command == b"smudge":
            _smudge(smudger, packets, file, warn)
        else:
            for _ in packets.read_list():
                pass
            packets.write_list(b"status=error\n")


def _shake_hands(packets: Packets) -> None:
    if packets.read_text() != [b"git-filter-client", b"version=2"]:
        raise FilterProtocolError("git does not speak version 2 of its filter protocol")
    packets.write_list(b"git-filter-server\n", b"version=2\n")
    offered = packets.read_text()
    wanted = (b"capability=clean", b"capability=smudge")
    packets.write_list(*(word + b"\n" for word in wanted if word in offered))


def _clean(smudger: Smudger, packets: Packets, file: str, warn: Callable[[str], None]) -> None:
    """Take a content as it comes, of which only the start is looked at; a large one that is
    annexed is never in memory."""
    stream = packets.read_list()
    kept = bytearray()
    for data in stream:
        kept += data
        if len(kept) >= ENOUGH:
            break
    try:
        cleaned = smudger.clean(file, bytes(kept[:ENOUGH]))
    except (ShoalError, OSError) as error:
        for _ in stream:
            pass
        warn(f"{file}: {error}")
        packets.write_list(b"status=error\n")
        return
    for data in stream:
        if cleaned.pointer is None:
            kept += data
    if cleaned.warning:
        warn(cleaned.warning)
    _answer(packets, bytes(kept) if cleaned.pointer is None else cleaned.pointer)


def _smudge(smudger: Smudger, packets: Packets, file: str, warn: Callable[[str], None]) -> None:
    content = b"".join(packets.read_list())
    try:
        smudger.smudge(file, content)
    except (ShoalError, OSError) as error:
        warn(f"{file}: {error}")  # the pointer is right all the same
    _answer(packets, content)


def _answer(packets: Packets, content: bytes) -> None:
    packets.write_list(b"status=success\n")
    packets.write_content(content)
    packets.write_list()

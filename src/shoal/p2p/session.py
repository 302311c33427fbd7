"""What both ends of a P2P session do: bytes in, bytes out, and payloads counted on their way."""

from __future__ import annotations

from abc import ABC, abstractmethod

from shoal.p2p.receiver import Receiver


class Session(ABC):
    """One end of a session. `version` is 0 until another one was agreed on; a driver reads and
    writes the bytes."""

    def __init__(self) -> None:
        self.version = 0
        self._receiver = Receiver()
        self._output: list[bytes] = []
        self._payload_left = 0
        self._input_ended = False

    def feed(self, data: bytes) -> None:
        """Take bytes from the other end; b"" when it will send no more."""
        if data:
            self._receiver.feed(data)
        else:
            self._input_ended = True

    def take_output(self) -> bytes:
        """Give what must be sent now."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    @property
    def payload_left(self) -> int:
        """Bytes that this end announced with Data and has not sent yet."""
        return self._payload_left

    @property
    def payload_due(self) -> int:
        """Bytes of the payload that is being received which are still to come."""
        return self._receiver.payload_left

    def take_payload(self, buffer: memoryview) -> int:
        """Move bytes of the payload that is being received into `buffer`; give how many. (They
        are then no Chunk.) After 0 the driver may read the rest, no more than that, itself."""
        count = self._receiver.take_payload(buffer)
        self._payload_counted()
        return count

    def payload_came(self, length: int) -> None:
        """Count bytes of the payload that the driver read itself."""
        self._receiver.payload_came(length)
        self._payload_counted()

    @abstractmethod
    def _payload_counted(self) -> None:
        """Go on to the next state when no byte of the payload is missing."""

"""What is held until it is released."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Held(ABC):
    """Something like a lock: leaving its `with` block releases it."""

    @abstractmethod
    def release(self) -> None:
        """Give it up. Harmless when it was given up before."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

"""Small uploads that came in one piece: stored at once, past aiohttp's requests and tasks.

One is stored in each turn of the event loop, so that others come in between. What comes while
the turn is taken, or needs to wait for a node, gets a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from shoal.errors import ShoalError
from shoal.p2phttp.routes import Request
from shoal.remotes.base import AlreadyPresent, Caller, StoreResult
from shoal.remotes.content import WholeContent
from shoal.server.answers import error_at_once, stored_at_once
from shoal.server.messages import complain_of, public_reason, public_status, public_text
from shoal.server.target import Target
from shoal.server.uploads import Uploads, put_result, rendered, told
from shoal.values.key import Key

_Tell = Callable[[bytes | None], None]
_Answer = bytes | Awaitable[bytes]


class SmallPuts:
    """Answers puts whose bodies are all there."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._putting: set[asyncio.Task[None]] = set()

    def begin(
        self,
        what: str,
        headers: Mapping[str, str],
        body: bytes,
        asked: Request,
        target: Target,
        caller: Caller,
    ) -> bytes | Callable[[_Tell], bool] | None:
        """Give the whole answer to a put, when nothing has to be waited for; else what will
        tell it. None: the put is not for this. `what` names the request in complaints."""
        key = asked.key
        if key is None or not _is_whole(headers, asked, key, body, self._uploads):
            return None

        def put() -> _Answer:
            return _put(asked, key, target, caller, body)

        begun: Awaitable[bytes] | None = None
        if target.site.slots.has_transfer and self._uploads.turns.take_now():
            try:
                answer = put()
            except (ShoalError, OSError) as error:
                return _error(what, error)
            if isinstance(answer, bytes):
                return answer
            begun = answer
        return partial(self._go_on, what, len(body), target, put, begun)

    def _go_on(
        self,
        what: str,
        length: int,
        target: Target,
        put: Callable[[], _Answer],
        begun: Awaitable[bytes] | None,
        tell: _Tell,
    ) -> bool:
        async def finish() -> None:
            answer = None
            try:
                async with target.site.slots.transfer():
                    with self._uploads.gathering(length):
                        answer = await self._finish(put, begun)
            except (ShoalError, OSError) as error:
                answer = _error(what, error)
            finally:
                self._putting.discard(task)
                tell(answer)

        task = asyncio.create_task(finish(), name="put")
        self._putting.add(task)
        return True

    async def _finish(self, put: Callable[[], _Answer], begun: Awaitable[bytes] | None) -> bytes:
        """Wait for a put that was begun; begin it when it is its turn, if it was not."""
        if begun is not None:
            return await begun
        await self._uploads.turns.take()
        answer = put()
        return answer if isinstance(answer, bytes) else await answer


def _is_whole(
    headers: Mapping[str, str], asked: Request, key: Key, body: bytes, uploads: Uploads
) -> bool:
    """Tell whether a put's body is the whole content of the key, and small."""
    length = len(body)
    whole = not asked.data_present and not asked.offset and length == asked.data_length == key.size
    return whole and "Expect" not in headers and uploads.may_gather(length)


def _put(asked: Request, key: Key, target: Target, caller: Caller, body: bytes) -> _Answer:
    """Give the answer, or what to wait for it. Raises as Remote.store_soon()."""

    def answer(stored: StoreResult | AlreadyPresent) -> bytes:
        return stored_at_once(rendered(asked, told(key, put_result(stored))))

    async def answer_to(storing: Awaitable[StoreResult | AlreadyPresent]) -> bytes:
        return answer(await storing)

    content = WholeContent(body)
    stored = target.remote.store_soon(key, content, file=asked.file, caller=caller)
    return answer(stored) if isinstance(stored, StoreResult | AlreadyPresent) else answer_to(stored)


def _error(what: str, error: ShoalError | OSError) -> bytes:
    complain_of(what, error)
    return error_at_once(public_status(error), public_text(error), reason=public_reason(error))

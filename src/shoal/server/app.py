"""Requests of the P2P protocol over HTTP, answered by whatever remote has the UUID in the path.

The order of checks is the real server's: what can be read of the request (400), whether the
endpoint exists (404, 405), whether the UUID is served (404), whether the client may (401, 403).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from aiohttp import web

from shoal.errors import ShoalError
from shoal.p2phttp.codec import (
    BYTES_TYPE,
    JSON_TYPE,
    LENGTH_HEADER,
    AlreadyHave,
    KeepLockedBody,
    PutOffset,
    Removed,
    accepts,
    render_locked,
    render_present,
    render_put_offset,
    render_removed,
    render_timestamp,
)
from shoal.p2phttp.routes import BadRequest, Endpoint, Request, parse_request
from shoal.remotes.base import AlreadyPresent, Caller, Remote
from shoal.remotes.content import AT_ONCE
from shoal.server.answers import (
    content_at_once,
    json_answer,
    plain_answer,
    present_at_once,
)
from shoal.server.downloads import send_key
from shoal.server.githttp import GitHttp
from shoal.server.http import Later, send_and_drop_the_rest
from shoal.server.locks import LockRegistry
from shoal.server.messages import complain, complain_of, public_reason, public_status, public_text
from shoal.server.options import Limits
from shoal.server.permissions import Denied, Permissions
from shoal.server.puts import SmallPuts
from shoal.server.target import Directory, Target
from shoal.server.uploads import Uploads, receive_key
from shoal.values.key import Key

_Tell = Callable[[bytes | None], None]
_Handler = Callable[["App", web.BaseRequest, Request, Target], Awaitable[web.StreamResponse]]


class App:
    """Answers requests. One for a whole server."""

    def __init__(
        self,
        directory: Directory,
        permissions: Permissions,
        limits: Limits,
        git: GitHttp | None = None,
    ) -> None:
        """`git` answers git's own requests; None: they are unknown here."""
        self._directory = directory
        self._git = git
        self._permissions = permissions
        self._limits = limits
        self._uploads = Uploads(limits)
        self._puts = SmallPuts(self._uploads)
        self.locks = LockRegistry(limits.locked_files)
        self._ending = False
        self._running = 0  # requests that are being answered; those that keep a lock left out
        self._idle = asyncio.Event()
        self._idle.set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. Raises ConnectionError when the client has gone, and nothing
        else but bugs."""
        self._begin()
        try:
            answer = await self._answer_or_refuse(request)
            if self._ending:
                answer.force_close()
            if not request.content.is_eof():
                await send_and_drop_the_rest(request, answer)
            return answer
        finally:
            self._end()

    async def _answer_or_refuse(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except BadRequest as error:
            return plain_answer(error.status, str(error), allow=error.allow)
        except Denied as error:
            return plain_answer(error.status)
        except ConnectionError:
            raise
        except (ShoalError, OSError) as error:
            complain_of(f"{request.method} {request.raw_path}", error)
            reason = public_reason(error)
            return plain_answer(public_status(error), public_text(error), reason=reason)

    def answer_at_once(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        tell: Callable[[bytes | None], None],
        *,
        encrypted: bool,
    ) -> bytes | Later | None:
        """Answer a request when nothing needs to be waited for, or only a short question to
        another machine, or the storing of a small content; else None.

        The most frequent requests are like this: whether a key is there, and small content.
        All that is refused or goes wrong is left to answer().
        """
        if self._ending:
            return None
        try:
            asked = _understood(method, target, headers)
            found = self._directory.find_at_once(asked.server)
            if found is None:
                return None
            self._check(asked, headers, encrypted=encrypted)
        except (BadRequest, Denied):
            return None
        if asked.endpoint is Endpoint.PUT:
            what = f"{method} {target}"
            put = self._puts.begin(what, headers, body, asked, found, _caller(asked))
            return put if put is None or isinstance(put, bytes) else self._later(put, found, tell)
        if body:
            return None
        if asked.endpoint is Endpoint.CHECK_PRESENT:
            present = found.remote.present_at_once(_key(asked), caller=_caller(asked))
            if present is not None:
                return present_at_once(present)
            return self._later(partial(_present_soon, asked, found), found, tell)
        if asked.endpoint is Endpoint.KEY and method == "GET" and "Range" not in headers:
            content = _content_at_once(asked, found.remote)
            if content is not None:
                return content
            return self._later(partial(_content_soon, asked, found), found, tell)
        return None

    def _later(self, begin: Callable[[_Tell], bool], target: Target, tell: _Tell) -> Later | None:
        """Begin what takes a moment; None when that cannot be done now."""

        def told(answer: bytes | None) -> None:
            target.site.users -= 1
            try:
                tell(answer)
            finally:
                self._end()

        if not begin(told):
            return None
        target.site.users += 1
        self._begin()
        return Later.LATER

    def end(self) -> None:
        """Close each connection after the answer that is under way."""
        self._ending = True

    async def idle(self) -> None:
        """Wait until no request is being answered, but for those that keep a lock."""
        await self._idle.wait()

    def _begin(self) -> None:
        self._running += 1
        self._idle.clear()

    def _end(self) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._git is not None and (answer := await self._git.answer(request)) is not None:
            return answer
        asked = _understood(request.method, request.raw_path, request.headers)
        target = await self._directory.find(asked.server)
        if target is None:
            raise BadRequest(404)
        self._check(asked, request.headers, encrypted=request.secure)
        with target.site.in_use():
            return await _HANDLERS[asked.endpoint](self, request, asked, target)

    def _check(self, asked: Request, headers: Mapping[str, str], *, encrypted: bool) -> None:
        authorization = headers.get("Authorization")
        self._permissions.check(asked.endpoint.need, authorization, encrypted=encrypted)

    async def _key(
        self, request: web.BaseRequest, asked: Request, target: Target
    ) -> web.StreamResponse:
        async with target.site.slots.transfer():
            _still_there(request)
            return await send_key(
                request, asked, _key(asked), target.remote, _caller(asked), self._limits.stall
            )

    async def _put(
        self, request: web.BaseRequest, asked: Request, target: Target
    ) -> web.StreamResponse:
        async with target.site.slots.transfer():
            _still_there(request)
            return await receive_key(
                request, asked, _key(asked), target.remote, _caller(asked), self._uploads
            )

    async def _put_offset(
        self, request: web.BaseRequest, asked: Request, target: Target
    ) -> web.StreamResponse:
        answer: PutOffset | AlreadyHave
        async with target.site.slots.request():
            _still_there(request)
            begun = await target.remote.begin_store(_key(asked), caller=_caller(asked))
            if isinstance(begun, AlreadyPresent):
                answer = AlreadyHave(begun.stored_in)
            else:
                async with begun as upload:
                    answer = PutOffset(upload.offset)
        return json_answer(render_put_offset(answer, asked.protocol))

    async def _check_present(
        self, request: web.BaseRequest, asked: Request, target: Target
    ) -> web.StreamResponse:
        async with target.site.slots.request():
            _still_there(request)
            present = await target.remote.check_present(_key(asked), caller=_caller(asked))
        return json_answer(render_present(present))

    async def _remove(
        self, request: web.BaseRequest, asked: Request, target: Target
    ) -> web.StreamResponse:
        async with target.site.slots.request():
            _still_there(request)
            result = await target.remote.remove(
                _key(asked), before=asked.timestamp, caller=_caller(asked)
            )
        if result.error:
            complain(f"removing {asked.key}: {result.error}")
        answer = Removed(result.removed, result.removed_from)
        return json_answer(render_removed(answer, asked.protocol))

    async def _timestamp(
        self, request: web.BaseRequest, asked: Request, target: Target
    ) -> web.StreamResponse:
        async with target.site.slots.request():
            _still_there(request)
            return json_answer(render_timestamp(await target.remote.timestamp()))

    async def _lock(
        self, request: web.BaseRequest, asked: Request, target: Target
    ) -> web.StreamResponse:
        lock_id = await self.locks.lock(target, _key(asked), _caller(asked), asked.server)
        return json_answer(render_locked(lock_id))

    async def _keep_locked(
        self, request: web.BaseRequest, asked: Request, target: Target
    ) -> web.StreamResponse:
        with self.locks.kept(asked.lock_id, asked.server):
            self._end()
            try:
                await _wait_for_unlock(request)
            finally:
                self._begin()
            await self.locks.release(asked.lock_id, asked.server)
        return json_answer(render_locked(None))


_HANDLERS: dict[Endpoint, _Handler] = {
    Endpoint.KEY: App._key,
    Endpoint.CHECK_PRESENT: App._check_present,
    Endpoint.LOCK_CONTENT: App._lock,
    Endpoint.KEEP_LOCKED: App._keep_locked,
    Endpoint.REMOVE: App._remove,
    Endpoint.REMOVE_BEFORE: App._remove,
    Endpoint.GET_TIMESTAMP: App._timestamp,
    Endpoint.PUT: App._put,
    Endpoint.PUT_OFFSET: App._put_offset,
}


async def _wait_for_unlock(request: web.BaseRequest) -> None:
    """Return when the client wants to unlock, or its request ended as it should.

    Raises ConnectionError when the connection is lost: then the client may still count on
    the lock.
    """
    body = KeepLockedBody()
    try:
        while data := await request.content.readany():
            if body.feed(data):
                return
    except web.RequestPayloadError as error:
        raise ConnectionResetError("the request broke off") from error


def _understood(method: str, target: str, headers: Mapping[str, str]) -> Request:
    """Read what is asked for. Raises BadRequest."""
    path, _, query = target.partition("?")
    asked = parse_request(method, path, query, headers.get(LENGTH_HEADER))
    content_type = BYTES_TYPE if asked.endpoint is Endpoint.KEY else JSON_TYPE
    if not accepts(headers.get("Accept"), content_type):
        raise BadRequest(406)
    return asked


def _content_at_once(asked: Request, remote: Remote) -> bytes | None:
    content = remote.read_at_once(_key(asked), asked.offset or 0, AT_ONCE, caller=_caller(asked))
    return None if content is None else content_at_once(content, ranges=asked.version is None)


def _present_soon(asked: Request, target: Target, tell: _Tell) -> bool:
    def told(present: bool | None) -> None:
        tell(None if present is None else present_at_once(present))

    return target.remote.present_soon(_key(asked), told, caller=_caller(asked))


def _content_soon(asked: Request, target: Target, tell: _Tell) -> bool:
    def told(content: bytes | None) -> None:
        tell(None if content is None else content_at_once(content, ranges=asked.version is None))

    offset = asked.offset or 0
    return target.remote.read_soon(_key(asked), offset, AT_ONCE, told, caller=_caller(asked))


def _caller(asked: Request) -> Caller:
    return Caller(asked.client, frozenset(asked.bypass), asked.protocol)


def _key(asked: Request) -> Key:
    assert asked.key is not None  # parse_request() requires it
    return asked.key


def _still_there(request: web.BaseRequest) -> None:
    """Do nothing for a client that went away while its request waited for its turn."""
    if request.transport is None:
        raise ConnectionResetError("Connection lost")

"""A remote that is served over HTTP: `annex+http://HOST:9417/git-annex/`.

Nothing but an explicit answer counts: a connection that breaks, an answer that is missing, cut
off or not understood leave it unknown whether the key is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import TypeVar

from shoal.errors import (
    ContentLocked,
    ContentMismatch,
    KeyNotPresent,
    LocalProtocolError,
    RemoteProtocolError,
    RemoteRefused,
    RemoteUnavailable,
    ShoalError,
)
from shoal.git.config import GitConfig
from shoal.p2phttp import codec
from shoal.p2phttp.routes import Endpoint, Request, base_url
from shoal.remotes.base import (
    NOBODY,
    AlreadyPresent,
    Caller,
    Remote,
    RemoteInfo,
    RemoveResult,
    StoreResult,
    Upload,
)
from shoal.remotes.content import SMALL, Chunk, Content, WholeContent
from shoal.remotes.httplogin import Login
from shoal.remotes.p2phttpcalls import NotServed, P2PHttpServer
from shoal.remotes.p2phttplock import keep_locked
from shoal.remotes.spool import Reserve, usual_reserve, with_size
from shoal.transport.addresses import AllowedAddresses
from shoal.transport.http_answer import HttpAnswer, HttpFailure
from shoal.transport.http_client import HttpClient, HttpOptions
from shoal.transport.http_connection import QuickAnswer
from shoal.values.key import Key
from shoal.values.uuid import UUID

_T = TypeVar("_T")


def http_options(config: GitConfig) -> HttpOptions:
    """Give the options for requests that git config asks for."""
    allowed = config.get("annex.security.allowed-ip-addresses")
    if allowed is None:
        allowed = config.get("annex.security.allowed-http-addresses")  # its old name
    headers = []
    for line in config.get_all("annex.http-headers"):
        name, colon, value = line.partition(":")
        if colon and name.strip():
            headers.append((name.strip(), value.strip()))
    return HttpOptions(AllowedAddresses.parse(allowed), tuple(headers))


class P2PHttpRemote(Remote):
    """Repository `info.uuid`, served at `url` (annex+http or annex+https).

    `client` is the repository in whose name requests are made. `http` may be shared with
    other remotes and is then closed by its owner; `login` knows passwords; `reserve` gives what
    stays free on this machine's disk where content has to be kept before it can be sent.
    """

    def __init__(
        self,
        url: str,
        info: RemoteInfo,
        *,
        client: UUID,
        http: HttpClient | None = None,
        login: Login | None = None,
        reserve: Reserve = usual_reserve,
    ) -> None:
        """Raises UsageError when `url` is no such URL."""
        self._info = info
        self._client = client
        self.reserve = reserve
        self._http = http or HttpClient()
        self._owns_http = http is None
        self._server = P2PHttpServer(base_url(url), info.name, self._http, login or Login())

    @property
    def info(self) -> RemoteInfo:
        return self._info

    async def aclose(self) -> None:
        if self._owns_http:
            await self._http.aclose()

    def _request(
        self, endpoint: Endpoint, key: Key | None, caller: Caller, file: str = ""
    ) -> Request:
        bypass = tuple(sorted(caller.bypass))
        uuid = self._info.uuid
        return Request(endpoint, uuid, key=key, client=self._client, file=file, bypass=bypass)

    async def _ask(self, request: Request, parse: Callable[[bytes], _T]) -> _T:
        return self._understand(await self._server.ask(request), parse)

    def _understand(self, body: bytes, parse: Callable[[bytes], _T]) -> _T:
        """Read an answer; one that does not say what it should is no answer."""
        try:
            return parse(body)
        except RemoteProtocolError as error:
            raise self._server.unavailable(error) from error

    async def check_present(self, key: Key, *, caller: Caller = NOBODY) -> bool:
        request = self._request(Endpoint.CHECK_PRESENT, key, caller)
        return await self._ask(request, codec.parse_present)

    def present_soon(
        self, key: Key, tell: Callable[[bool | None], None], *, caller: Caller = NOBODY
    ) -> bool:
        def told(answer: QuickAnswer | None) -> None:
            present = None
            if answer is not None:
                with suppress(RemoteProtocolError):
                    present = codec.parse_present(answer.body)
            tell(present)

        request = self._request(Endpoint.CHECK_PRESENT, key, caller)
        return self._server.ask_soon(request, told)

    def read_soon(
        self,
        key: Key,
        offset: int,
        most: int,
        tell: Callable[[bytes | None], None],
        *,
        caller: Caller = NOBODY,
    ) -> bool:
        if key.size is None or offset < 0 or not 0 < key.size - offset <= most:
            return False
        expected = key.size - offset

        def told(answer: QuickAnswer | None) -> None:
            """A body that is as long as it should be is vouched for; see _Download."""
            good = (
                answer is not None
                and len(answer.body) == expected
                and answer.headers.get(codec.LENGTH_HEADER.lower()) == str(expected)
            )
            tell(answer.body if answer is not None and good else None)

        request = replace(self._request(Endpoint.KEY, key, caller), offset=offset or None)
        return self._server.ask_soon(request, told)

    async def timestamp(self) -> int:
        request = self._request(Endpoint.GET_TIMESTAMP, None, NOBODY)
        return await self._ask(request, codec.parse_timestamp)

    async def remove(
        self, key: Key, *, before: int | None = None, caller: Caller = NOBODY
    ) -> RemoveResult:
        endpoint = Endpoint.REMOVE if before is None else Endpoint.REMOVE_BEFORE
        request = replace(self._request(endpoint, key, caller), timestamp=before)
        try:
            answer = await self._ask(request, codec.parse_removed)
        except ContentLocked as locked:
            return RemoveResult(False, error=str(locked))
        error = "" if answer.removed else f'remote "{self._info.name}" did not remove it'
        return RemoveResult(answer.removed, answer.removed_from, error)

    def lock_content(
        self, key: Key, *, caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[None]:
        return self._locked(key, caller)

    @asynccontextmanager
    async def _locked(self, key: Key, caller: Caller) -> AsyncIterator[None]:
        request = self._request(Endpoint.LOCK_CONTENT, key, caller)
        lock_id = await self._ask(request, codec.parse_locked)
        if lock_id is None:
            raise RemoteRefused(f'remote "{self._info.name}" cannot lock the content')
        keep = replace(self._request(Endpoint.KEEP_LOCKED, None, NOBODY), lock_id=lock_id)

        async def check() -> bool:
            return await self.check_present(key, caller=caller)

        async with keep_locked(self._server, keep, check):
            yield

    # Downloads

    def retrieve(
        self, key: Key, offset: int = 0, *, file: str = "", caller: Caller = NOBODY
    ) -> AbstractAsyncContextManager[Content]:
        return self._retrieve(key, offset, file, caller)

    @asynccontextmanager
    async def _retrieve(
        self, key: Key, offset: int, file: str, caller: Caller
    ) -> AsyncIterator[Content]:
        request = replace(self._request(Endpoint.KEY, key, caller, file), offset=offset or None)
        async with AsyncExitStack() as stack:
            try:
                answer = await stack.enter_async_context(self._server.open(request))
            except NotServed:
                await self._check_absent(key, caller)
                raise
            size = self._length_of(answer)
            if size == 0 and (key.size is None or offset < key.size):
                # The real server sends nothing, with status 200, of a key that it does not have.
                await self._check_absent(key, caller)
                if key.size is not None:
                    raise self._server.unavailable("it sends nothing of what it says it has")
            yield _Download(self._server, answer, offset, size)

    async def _check_absent(self, key: Key, caller: Caller) -> None:
        """Raise KeyNotPresent when the server says plainly that the key is not there."""
        if not await self.check_present(key, caller=caller):
            raise KeyNotPresent(self._info.name, str(key))

    def _length_of(self, answer: HttpAnswer) -> int:
        header = answer.header(codec.LENGTH_HEADER)
        try:
            return codec.parse_count(header or "")
        except ValueError as error:
            raise self._server.unavailable(f"its answer lacks {codec.LENGTH_HEADER}") from error

    # Uploads

    async def begin_store(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> Upload | AlreadyPresent:
        request = self._request(Endpoint.PUT_OFFSET, key, caller)
        answer: codec.PutOffset | codec.AlreadyHave
        try:
            answer = await self._ask(request, codec.parse_put_offset)
        except NotServed:  # as of a server that knows version 0 only
            present = await self.check_present(key, caller=caller)
            answer = codec.AlreadyHave() if present else codec.PutOffset(0)
        if isinstance(answer, codec.AlreadyHave):
            return AlreadyPresent(answer.stored_in)
        put = replace(self._request(Endpoint.PUT, key, caller, file), offset=answer.offset)
        return _HttpUpload(self._server, put, answer.offset, self.reserve)

    async def store_whole(
        self,
        key: Key,
        content: WholeContent,
        *,
        file: str = "",
        caller: Caller = NOBODY,
        agreed: Callable[[], None] = lambda: None,
    ) -> StoreResult | AlreadyPresent:
        """One request is enough: what the server holds already it reads, and drops. When it
        fails it is done with care, as it may have needed another password or connection."""
        length = len(content.data)
        if self._server.has_answered and length <= SMALL:
            request = replace(self._request(Endpoint.PUT, key, caller, file), data_length=length)
            with suppress(RemoteRefused, RemoteUnavailable):
                answer = await self._server.send(request, content.data, length)
                agreed()
                return _store_result(self._understand(answer, codec.parse_stored), self.info.name)
        return await super().store_whole(key, content, file=file, caller=caller, agreed=agreed)

    async def store_present(
        self, key: Key, *, file: str = "", caller: Caller = NOBODY
    ) -> StoreResult:
        request = self._request(Endpoint.PUT, key, caller, file)
        request = replace(request, data_present=True, data_length=0)
        return _store_result(await self._ask(request, codec.parse_stored), self._info.name)


def _store_result(answer: codec.Stored, name: str) -> StoreResult:
    error = "" if answer.stored else f'remote "{name}" did not store it'
    return StoreResult(answer.stored, answer.stored_in, error)


class _Download(Content):
    """The body of an answer; it is whole when all announced bytes came, and no more."""

    def __init__(self, server: P2PHttpServer, answer: HttpAnswer, offset: int, size: int) -> None:
        self._server = server
        self._answer = answer
        self.offset = offset
        self.size: int = size

    async def stream(self, skip: int = 0) -> AsyncIterator[Chunk]:
        left = self.size
        try:
            async for chunk in self._answer.chunks():
                if len(chunk) > left:
                    raise self._server.unavailable("it sends more bytes than it announced")
                left -= len(chunk)
                if skip < len(chunk):
                    yield memoryview(chunk)[skip:] if skip else chunk
                skip = max(0, skip - len(chunk))
        except HttpFailure as failure:
            raise self._server.unavailable(f"the download broke off: {failure}") from failure
        if left:
            # One byte too few is how a server says that the content changed while it was read.
            raise self._server.unavailable(f"the download ended {left} bytes too early")


class _HttpUpload(Upload):
    """An upload that the server expects to start at `offset`; the server verifies it."""

    uses_digest = False

    def __init__(
        self, server: P2PHttpServer, request: Request, offset: int, reserve: Reserve
    ) -> None:
        self._server = server
        self._reserve = reserve
        self._request = request
        self.offset = offset

    async def store(self, content: Content) -> StoreResult:
        if content.offset != self.offset:
            raise LocalProtocolError(f"content from {content.offset}, not from {self.offset}")
        size = self._request.key.size if self._request.key else None
        known = None if size is None else max(0, size - self.offset)
        async with with_size(content, known, self._reserve) as (sized, length):
            body = _Body(sized, length)
            request = replace(self._request, data_length=length)
            try:
                answer = await self._server.send(request, body.chunks(), length)
            except RemoteUnavailable:
                if isinstance(body.failure, ContentMismatch):
                    return StoreResult(False, error=str(body.failure))
                if body.failure is not None:
                    raise body.failure from None
                raise
        try:
            stored = codec.parse_stored(answer)
        except RemoteProtocolError as error:
            raise self._server.unavailable(error) from error
        return _store_result(stored, self._server.name)


class _Body:
    """Content as the body of a request.

    Its last byte is sent only when the sender of the content still vouches for it: with a byte
    too few the server takes nothing of it for good.
    """

    def __init__(self, content: Content, length: int) -> None:
        self._content = content
        self._length = length
        self.failure: ShoalError | OSError | None = None  # the HTTP library would hide it

    async def chunks(self) -> AsyncIterator[Chunk]:
        left = self._length
        last = b""
        try:
            async for chunk in self._content.stream():
                left -= len(chunk)
                last = bytes(chunk[-1:])
                if left > 0:
                    yield chunk
                elif left == 0 and len(chunk) > 1:
                    yield memoryview(chunk)[:-1]
            if left:
                raise ContentMismatch(f"the content is not {self._length} bytes long")
            if not await self._content.confirm() and not await self._verified():
                raise ContentMismatch("the content changed while it was read")
            if last:
                yield last
        except (ShoalError, OSError) as error:
            self.failure = error
            raise

    async def _verified(self) -> bool:
        """The content may still be known to be right, by its hash."""
        digest = self._content.digest
        return digest is not None and await digest.matches()

"""Requests to a server that speaks the P2P protocol over HTTP.

The version is found as the real client does it: from the newest down while the answer is 404
(or the real server's 400 `bad version`); what worked is remembered until the server is lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from shoal.errors import (
    ContentLocked,
    NotEnoughSpace,
    RemoteRefused,
    RemoteUnavailable,
    ShoalError,
    TransferInProgress,
)
from shoal.p2phttp.codec import BYTES_TYPE, JSON_TYPE, LENGTH_HEADER
from shoal.p2phttp.routes import NEWEST_VERSION, Endpoint, Request, render_target
from shoal.remotes.httplogin import Login
from shoal.transport.http_answer import HttpAnswer, HttpFailure
from shoal.transport.http_client import HttpClient
from shoal.transport.http_connection import Tell
from shoal.transport.http_plain import Body

_PATIENCE = 600.0  # seconds without a byte of an answer, but for uploads
_SHOWN = 200  # characters of an error's text that are passed on


class NotServed(RemoteUnavailable):
    """404: not this repository, not this endpoint, or not this key."""


class P2PHttpServer:
    """A server, for the requests of one remote, which is called `name` in errors."""

    def __init__(self, base: str, name: str, http: HttpClient, login: Login) -> None:
        self._base = base
        self.name = name
        self._http = http
        self._login = login
        self._version: int | None = None  # that the server has answered to
        self._newest = NEWEST_VERSION  # that is worth trying

    @property
    def has_answered(self) -> bool:
        """Version and password are known to be right."""
        return self._version is not None

    @property
    def version(self) -> int:
        """The newest protocol version that the server may know."""
        return self._newest

    def unavailable(self, cause: object) -> RemoteUnavailable:
        """Give the error for a server that does not answer as it should."""
        return RemoteUnavailable(self.name, str(cause))

    async def ask(self, request: Request) -> bytes:
        """Make a short request; give the body of its answer (status 200).

        Raises NotServed, RemoteUnavailable, RemoteRefused, ContentLocked, NotEnoughSpace,
        TransferInProgress.
        """
        async with self.open(request) as answer:
            return await self._body(answer)

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[HttpAnswer]:
        """Make a request at the newest version that the server knows; its status is 200.

        Raises NotServed when the answer is 404 at all versions.
        """
        async with AsyncExitStack() as stack:
            for version in self._versions(request):
                answer = await self._try(stack, replace(request, version=version))
                if answer is not None:
                    self._version = self._newest = version
                    yield answer
                    return
        raise NotServed(self.name, "the server answers 404 Not Found")

    async def send(self, request: Request, body: Body, length: int | None) -> bytes:
        """Make a request with a body, after others have shown version and password to be right.

        With `length` (bytes) it is not chunked. Gives the body of the answer, which may come
        before all was sent.
        """
        request = replace(request, version=self._newest)
        headers = self._headers(request)
        try:
            async with self._http.request(
                "POST",
                self._base + render_target(request),
                headers={**headers, "Content-Type": _body_type(request)},
                body=body,
                length=length,
            ) as answer:
                if answer.status != 200:
                    raise await self._refusal(answer)
                return await answer.read()
        except HttpFailure as failure:
            raise self.unavailable(failure) from failure

    def ask_soon(self, request: Request, tell: Tell) -> bool:
        """Make a request without a body at once, if version and password are known to be right;
        see HttpClient.ask(). False when it cannot be made so."""
        if not self.has_answered:
            return False
        request = replace(request, version=self._newest)
        url = self._base + render_target(request)
        return self._http.ask(request.endpoint.method, url, self._headers(request), tell)

    def _versions(self, request: Request) -> range:
        oldest = request.endpoint.first_version
        if request.data_present:
            oldest = 4  # older servers take it for an upload of nothing
        elif request.endpoint is Endpoint.KEY and self._version is not None:
            oldest = self._version  # then a 404 is about the key
        return range(self._newest, oldest - 1, -1)

    async def _try(self, stack: AsyncExitStack, request: Request) -> HttpAnswer | None:
        """Give an answer with status 200, None when an older version should be tried."""
        answer = await self._logged_in(stack, request)
        if answer.status == 200:
            return answer
        error = await self._refusal(answer)
        old = answer.status == 400 and "bad version" in str(error)
        if answer.status == 404 or old:
            return None
        raise error

    async def _logged_in(self, stack: AsyncExitStack, request: Request) -> HttpAnswer:
        """Make a request; if the server wants a password, find one and make it again."""
        while True:
            sent = self._login.header
            answer = await self._begin(stack, request)
            if answer.status == 200:
                await self._login.worked(sent)
            if answer.status != 401:
                return answer
            challenge = answer.header("WWW-Authenticate") or ""
            error = await self._refusal(answer)
            if not await self._login.renew(sent, challenge):
                raise error

    async def _begin(self, stack: AsyncExitStack, request: Request) -> HttpAnswer:
        """Make a request. One that a kept connection was closed under is made once more, but
        not if that might leave a lock behind."""
        repeats = 0 if request.endpoint is Endpoint.LOCK_CONTENT else 1
        while True:
            try:
                return await stack.enter_async_context(
                    self._http.request(
                        request.endpoint.method,
                        self._base + render_target(request),
                        headers=self._headers(request),
                        patience=_PATIENCE,
                    )
                )
            except HttpFailure as failure:
                if not failure.disconnected or not repeats:
                    self._version, self._newest = None, NEWEST_VERSION  # it may be another then
                    raise self.unavailable(failure) from failure
                repeats -= 1

    def _headers(self, request: Request) -> dict[str, str]:
        accept = BYTES_TYPE if request.endpoint is Endpoint.KEY else JSON_TYPE
        headers = {"Accept": accept}
        if request.data_length is not None:
            headers[LENGTH_HEADER] = str(request.data_length)
        if self._login.header is not None:
            headers["Authorization"] = self._login.header
        return headers

    async def _body(self, answer: HttpAnswer) -> bytes:
        try:
            return await answer.read()
        except HttpFailure as failure:
            raise self.unavailable(failure) from failure

    async def _refusal(self, answer: HttpAnswer) -> ShoalError:
        """Give the error that an answer other than 200 stands for.

        The real server has 500 for most of them, and says no more; ours is more precise.
        """
        text = (await self._body(answer)).decode("utf-8", "replace").strip()
        shown = answer.summary
        is_page = (answer.header("Content-Type") or "").lower().startswith("text/html")
        if text and not is_page and not shown.endswith(text):
            shown += f": {text[:_SHOWN]}"
        match answer.status:
            case 400 | 401 | 403:
                return RemoteRefused(f'remote "{self.name}" answers {shown}')
            case 409:
                return TransferInProgress(f'remote "{self.name}" answers {shown}')
            case 423:
                return ContentLocked(f'remote "{self.name}" answers {shown}')
            case 507:
                return NotEnoughSpace(f'remote "{self.name}" answers {shown}')
            case _:
                return self.unavailable(f"it answers {shown}")


def _body_type(request: Request) -> str:
    return JSON_TYPE if request.endpoint is Endpoint.KEEP_LOCKED else BYTES_TYPE

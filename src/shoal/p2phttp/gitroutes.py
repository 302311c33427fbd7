"""Requests of git itself on the address of a gateway, and the configuration that a client reads.

    REPOSITORY/info/refs?service=git-upload-pack    clone, fetch
    REPOSITORY/info/refs?service=git-receive-pack   push
    REPOSITORY/git-upload-pack, REPOSITORY/git-receive-pack
    REPOSITORY/config                               git-annex learns UUID and annex.url

REPOSITORY is empty for a server of one repository. Only the smart protocol is spoken: files of
the repository are never sent as such. Everything below /git-annex/ belongs to the P2P protocol.
Source: gitprotocol-http(5), git-http-backend(1); what git-annex 10.20261026 reads of `config`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qs, unquote_to_bytes

from shoal.p2phttp.routes import PREFIX, BadRequest, Need
from shoal.values.uuid import UUID

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?P<port>:[0-9]{1,5})?")
_USUAL_PORT = {True: 443, False: 80}  # of a Host header without a port, with TLS or without
_NO_DUMB_PROTOCOL = "this server needs a git that speaks the smart HTTP protocol"


class Service(Enum):
    """What git asks for: its name, and what a client must be allowed to do.

    A push can replace and delete branches, so append-only users cannot push: as in the P2P
    protocol's CONNECT.
    """

    UPLOAD_PACK = ("git-upload-pack", Need.READ)
    RECEIVE_PACK = ("git-receive-pack", Need.REMOVE)

    def __init__(self, text: str, need: Need) -> None:
        self.text = text
        self.need = need


_SERVICES = {service.text: service for service in Service}


@dataclass(frozen=True, slots=True)
class GitRequest:
    """One request. `service` is None when the configuration is asked for.

    `repository` is the path in the URL, without a slash at its ends; it is not a path of this
    machine. `is_advertisement`: for info/refs, else for the service itself.
    """

    repository: str
    service: Service | None
    is_advertisement: bool = False

    @property
    def need(self) -> Need:
        return Need.READ if self.service is None else self.service.need

    @property
    def path_info(self) -> str:
        """What follows the repository in the path."""
        assert self.service is not None
        return "/info/refs" if self.is_advertisement else f"/{self.service.text}"

    @property
    def content_type(self) -> str:
        """The type that the body of a POST must have."""
        assert self.service is not None
        return f"application/x-{self.service.text}-request"


def parse_git_request(method: str, path: str, query: str) -> GitRequest | None:
    """Read a request from its line, as it came (percent-encoded); None: it is not for git.

    Raises BadRequest for what is for git and cannot be answered.
    """
    if path.startswith(PREFIX):
        return None
    words = [word for word in path.split("/") if word]
    match words:
        case [*rest, "info", "refs"]:
            service = _SERVICES.get(parse_qs(query).get("service", [""])[-1])
            found = GitRequest(_repository(rest), service, is_advertisement=True)
            if service is None:
                raise BadRequest(403, _NO_DUMB_PROTOCOL)
        case [*rest, "config"]:
            found = GitRequest(_repository(rest), None)
        case [*rest, name] if name in _SERVICES:
            found = GitRequest(_repository(rest), _SERVICES[name])
        case _:
            return None
    is_post = found.service is not None and not found.is_advertisement
    if method not in ({"POST"} if is_post else {"GET", "HEAD"}):
        raise BadRequest(405, allow="POST" if is_post else "GET, HEAD")
    return found


def _repository(words: list[str]) -> str:
    """Decode the path of a repository. Raises BadRequest for one that no repository has."""
    decoded = [unquote_to_bytes(word).decode("utf-8", "surrogateescape") for word in words]
    if any(word in {".", ".."} or "/" in word or "\0" in word for word in decoded):
        raise BadRequest(404)
    return "/".join(decoded)


def annex_url(host: str | None, *, encrypted: bool) -> str | None:
    """Give the P2P address of a server that a client calls `host` (its Host header); None
    when that is no name."""
    found = _HOST.fullmatch(host or "")
    if host is None or found is None:
        return None
    scheme = "annex+https" if encrypted else "annex+http"
    port = "" if found["port"] else f":{_USUAL_PORT[encrypted]}"
    return f"{scheme}://{host}{port}/git-annex/"


def render_config(uuid: UUID, *, is_bare: bool, url: str | None) -> bytes:
    """Give what clients may know of a repository's configuration, as git config files are."""
    lines = ["[core]", f"\tbare = {'true' if is_bare else 'false'}", "[annex]", f"\tuuid = {uuid}"]
    if url is not None:
        escaped = url.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'\turl = "{escaped}"')
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")

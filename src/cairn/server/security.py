"""Who may ask: the token, names of the host, requests of other web sites; and headers of answers.

`Guard` is the outermost layer of the application: it also answers what nothing else has caught.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cairn.server.metrics import Metrics
from cairn.server.problems import Problem, as_problem
from cairn.server.settings import ServerSettings

OPEN = ("/health", "/ready")
"""Paths without a token, for probes. They reveal nothing."""

COOKIE = "cairn_token"

LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Content security policy of all pages."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",
}


class Guard:
    """Checks each request before anything reads it.

    Args:
        app: The application.
        settings: Token, address and names of the server.
        metrics: Counts the requests.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, metrics: Metrics) -> None:
        self.app = app
        self.settings = settings
        self.metrics = metrics
        self._hosts = _hosts(settings)
        self._token = settings.token
        self._cookie = None if settings.token is None else _digest(settings.token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = time.monotonic(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            response = self._entered(scope) or self._refused(scope)
            if response is None:
                await self.app(scope, receive, answer)
            else:
                await response(scope, receive, answer)
        except ClientDisconnect:
            status = status or 499
        except Exception as error:
            if status:
                raise
            await as_problem(error).response()(scope, receive, answer)
        finally:
            path = getattr(scope.get("route"), "path", "") or "other"
            self.metrics.requests.labels(scope["method"][:10], path, str(status)).inc()
            self.metrics.request_seconds.labels(path).observe(time.monotonic() - began)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (problem := self._problem(scope)) is None:
            await self.app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": str(problem)[:120]})

    def _refused(self, scope: Scope) -> Response | None:
        problem = self._problem(scope)
        return None if problem is None else problem.response()

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts is not None and _name(host) not in self._hosts:
            return Problem(
                421, f"this server is not {_name(host)[:80]!r}: start it with --allow-host NAME behind a proxy"
            )
        if _is_foreign(headers, host):
            return Problem(403, "requests of other web sites are refused")
        if self._token is None or scope["path"] in OPEN or self._has_token(headers):
            return None
        return Problem(
            401,
            "a token is needed: send it as Authorization: Bearer TOKEN, or open the address that cairn serve printed",
            {"WWW-Authenticate": "Bearer"},
        )

    def _has_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _equal(given.strip(), self._token)
        return _equal(_cookie(headers), self._cookie)

    def _entered(self, scope: Scope) -> Response | None:
        """Returns the answer to the address with the token that a person opens: a cookie, and the page without it."""
        if self._token is None or scope["path"] != "/" or scope["method"] != "GET":
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not _equal(given, self._token):
            return None
        response = RedirectResponse("/", 303)
        secure = Request(scope).url.scheme == "https"
        response.set_cookie(COOKIE, str(self._cookie), httponly=True, samesite="strict", secure=secure)
        return response


def _hosts(settings: ServerSettings) -> frozenset[str] | None:
    """Returns the names under which the server may be asked; None where any is right, because a token is needed.

    A web site can let its own name point to 127.0.0.1, and its pages then ask this server (DNS rebinding); but they
    have neither the token nor its cookie.
    """
    if settings.token is not None and not settings.is_loopback and not settings.hosts:
        return None
    return frozenset(each.lower() for each in (*LOOPBACK, settings.host, f"[{settings.host}]", *settings.hosts))


def _is_foreign(headers: Headers, host: str) -> bool:
    """Whether a browser says that another web site asks."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return True
    return headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate"


def _name(host: str) -> str:
    """Returns a host without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()


def _cookie(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if cookie is None else cookie.value


def _digest(token: str) -> str:
    return hashlib.sha256(f"cairn {token}".encode()).hexdigest()


def _equal(given: str, expected: str | None) -> bool:
    """Compares in a time that does not depend on where the texts differ."""
    return expected is not None and secrets.compare_digest(given.encode("utf-8", "replace"), expected.encode())

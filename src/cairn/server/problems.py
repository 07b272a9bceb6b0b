"""Errors of the API: application/problem+json (RFC 9457), with the one line of the library as `detail`."""

from __future__ import annotations

import errno
import logging
import sqlite3
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from cairn.errors import CairnError

MEDIA_TYPE = "application/problem+json"

FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)

FULL_DISK = "the disk of the server is full: free some space, or delete jobs or projects that are done"

WORDS = {
    "Not Found": "there is nothing at this address: /docs lists the addresses of the API",
    "Method Not Allowed": "this address takes other methods: /docs lists them",
}
"""Sentences for what Starlette says in two words."""

log = logging.getLogger(__name__)


class ProblemBody(BaseModel):
    """An error."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


class Problem(CairnError):
    """An error with its HTTP status.

    Attributes:
        status: The status.
        headers: Further headers of the answer.
        values: Further keys of the answer.
    """

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **values: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}
        self.values = values

    def body(self) -> dict[str, Any]:
        """Returns the answer as plain values."""
        title = HTTPStatus(self.status).phrase
        return {"type": "about:blank", "title": title, "status": self.status, "detail": str(self), **self.values}

    def response(self) -> JSONResponse:
        """Returns the answer."""
        return JSONResponse(self.body(), self.status, self.headers, MEDIA_TYPE)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Returns the documentation of the errors of an endpoint."""
    return {int(status): value for status, value in described(*statuses).items()}


def described(*statuses: int) -> dict[str, dict[str, Any]]:
    """Returns the same, as OpenAPI has it."""
    return {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def as_problem(error: Exception) -> Problem:
    """Returns an exception as a problem; what it was is logged where it is a fault of the server."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return Problem(422, "; ".join(_line(each) for each in error.errors()))
    if isinstance(error, HTTPException):
        return Problem(error.status_code, WORDS.get(str(error.detail), str(error.detail)), dict(error.headers or {}))
    if is_full(error):
        return Problem(507, FULL_DISK)
    if isinstance(error, CairnError):
        return Problem(422, str(error))
    log.error("unexpected error", exc_info=error)
    return Problem(500, "the server failed unexpectedly; its log has the details")


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is a disk without space."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def install(app: FastAPI) -> None:
    """Makes an application answer every exception as a problem."""

    async def answer(_: Request, error: Exception) -> JSONResponse:
        return as_problem(error).response()

    for kind in (Problem, CairnError, RequestValidationError, HTTPException, OSError, sqlite3.Error):
        app.add_exception_handler(kind, answer)


def _line(error: Any) -> str:
    """Returns a validation error as the library words it: where, expected, got."""
    where = ".".join(str(part) for part in error["loc"][1:]) or "request"
    got = "" if error.get("input") is None else f", got {str(error['input'])[:80]!r}"
    return f"{where}: {error['msg'][:1].lower()}{error['msg'][1:]}{got}"

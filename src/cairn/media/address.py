"""Addresses of streams, videos and images: rtsp://, rtmp://, http:// and others, shown without credentials."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from cairn.errors import ImageError

SCHEMES = ("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "tcp", "srt")
"""Schemes that are read."""

TIMEOUT = 10.0
"""Seconds to wait for a server."""

MAX_BYTES = 1 << 28
"""Maximum size of an image that is downloaded."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/{1,2}[^/\\]")  # pathlib merges the two slashes
_SECRET = re.compile(r"(?i)((?:user|login|pass|passwd|password|pwd|token|key|auth|sig|secret)[^=/&;]*=)[^/&;]*")


@dataclass(frozen=True)
class Address:
    """An address. Its text has no user name, password or query, which may contain them.

    Attributes:
        url: The whole address.
    """

    url: str

    @property
    def scheme(self) -> str:
        """The scheme in lower case, such as "rtsp"."""
        return self.url.partition(":")[0].lower()

    def __str__(self) -> str:
        """The address without credentials and query."""
        scheme, place, path, query, _ = _split(self.url)
        host = place.rpartition("@")[2]
        return urlunsplit((scheme, host, _SECRET.sub(r"\1***", path), "", "")) + ("?..." if query else "")

    def __repr__(self) -> str:
        """As the text."""
        return f"Address({str(self)!r})"

    @property
    def file_name(self) -> str:
        """Name of its results: the last part of the path with a suffix, else host and path."""
        _, place, path, _, _ = _split(self.url)
        path = _SECRET.sub(r"\1", unquote(path)).strip("/")
        name = PurePosixPath(path).name
        if not PurePosixPath(name).suffix:
            name = "_".join([place.rpartition("@")[2], *path.split("/")])
        return re.sub(r"[^\w.-]+", "_", name).strip("._-") or "stream"

    @property
    def suffix(self) -> str:
        """Suffix of the path in lower case, such as ".jpg"; "" where it has none."""
        return PurePosixPath(_split(self.url)[2]).suffix.lower()


def is_url(source: object) -> bool:
    """Whether a source is an address such as https://... or rtsp://...; also where pathlib merged the slashes."""
    return _URL.match(str(source)) is not None


def parse_address(source: object) -> Address:
    """Returns the address that a source names.

    Raises:
        ImageError: The scheme is not one of `SCHEMES`.
    """
    scheme, _, rest = str(source).partition(":")
    address = Address(f"{scheme.lower()}://{rest.lstrip('/')}")
    if scheme.lower() not in SCHEMES:
        raise ImageError(
            f"{address} has a scheme that is not read ({' '.join(SCHEMES)} are): download the file and pass its path"
        )
    try:
        parts = urlsplit(address.url)
        parts.port  # noqa: B018 (raises for a wrong number)
    except ValueError:
        raise ImageError(f"{address} is not a valid address: expected scheme://host:port/path") from None
    if not parts.hostname and scheme.lower() not in ("udp", "rtp", "tcp", "srt"):
        raise ImageError(f"{address} names no host: expected scheme://host:port/path")
    return address


def without_credentials(source: object) -> str:
    """Returns a source as text; addresses, also those in a list, have no credentials and query."""
    if isinstance(source, list | tuple):
        return f"[{', '.join(without_credentials(each) for each in source)}]"
    return str(Address(str(source))) if is_url(source) else str(source)


def download(address: Address, limit: int | None = None) -> bytes:
    """Returns the content of an http or https address.

    Args:
        address: The address; a user name and password in it are sent as basic authentication.
        limit: Number of bytes to read; None reads all.

    Raises:
        ImageError: The server does not answer within `TIMEOUT`, refuses, or sends more than `MAX_BYTES`.
    """
    import http.client  # files need neither these nor ssl
    import urllib.error
    import urllib.request

    scheme, place, path, query, _ = _split(address.url)
    credentials, _, host = place.rpartition("@")
    request = urllib.request.Request(urlunsplit((scheme, host, path, query, "")))
    if credentials:
        coded = base64.b64encode(unquote(credentials).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {coded}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            data: bytes = answer.read(MAX_BYTES + 1 if limit is None else limit)
    except urllib.error.HTTPError as error:
        raise ImageError(f"cannot open {address}: the server answers {error.code} {error.reason}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        text = getattr(cause, "strerror", None) or (str(cause) if isinstance(cause, OSError) else type(cause).__name__)
        raise ImageError(f"cannot open {address}: {text}") from None
    if len(data) > MAX_BYTES:
        raise ImageError(f"{address} is larger than {MAX_BYTES >> 20} MB: it is no image")
    return data


def _split(url: str) -> tuple[str, str, str, str, str]:
    try:
        return urlsplit(url)
    except ValueError:  # such as a bracket that is not closed
        scheme, _, rest = url.partition("://")
        return scheme, rest.partition("/")[0].partition("?")[0], "", "", ""

"""What the status, the headers or the failure of an HTTP exchange say (RFC 9110)."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from datetime import timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException
from typing import NamedTuple
from urllib.parse import urlsplit

import requests


class ContentRange(NamedTuple):
    """Which bytes a 206 says it has: from `start` up to `stop` (not with it) of `size`."""

    start: int
    stop: int
    size: int | None


def status(code: int) -> str:
    """A status in words."""
    with suppress(ValueError):  # a code that no specification knows; the server's phrase is not
        return f"{code} {HTTPStatus(code).phrase}"  # repeated, it may hold anything
    return str(code)


def retry_after(response: requests.Response) -> float | None:
    """Seconds that the server asks to wait, if it does."""
    value = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,18}", value):
        return float(value)
    with suppress(ValueError, TypeError, OverflowError, IndexError):
        date = parsedate_to_datetime(value[:99])
        return max(0.0, date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp() - time.time())
    return None


def check_address(url: str) -> None:
    """Raise ValueError for a URL whose host or port no server can have."""
    requests.Request("GET", url).prepare()
    parts = urlsplit(url)
    if parts.port == 0:
        raise ValueError(url)
    (parts.hostname or "").encode("idna")  # whose labels are neither empty nor too long


def validator(response: requests.Response) -> str | None:
    """What If-Range may hold: a strong entity tag, else the date of the last change."""
    tag = response.headers.get("ETag", "")
    return usable(tag if tag.startswith('"') else response.headers.get("Last-Modified", ""))


def usable(tag: str) -> str | None:
    """The entity tag or date, if a header can hold it; some servers send what none may."""
    return tag if re.fullmatch(r"[!-~]([ -~]{,254}[!-~])?", tag) else None


def content_range(response: requests.Response) -> ContentRange | None:
    """The Content-Range of a response; None when there is none, or none that makes sense."""
    value = response.headers.get("Content-Range", "").strip()
    found = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", value)
    if not found:
        return None
    size = None if found[3] == "*" else int(found[3])
    return ContentRange(int(found[1]), int(found[2]) + 1, size)


def expected_size(response: requests.Response, offset: int) -> int | None:
    """Bytes that there will be when the body is added to `offset` that are here, if it is said."""
    length = response.headers.get("Content-Length", "")
    return offset + int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None


def innermost(error: BaseException) -> str:
    """The system's own words, without the layers of wrapping around them."""
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        if inner is None:
            if isinstance(error, HTTPException) and not isinstance(error, OSError):
                return "the answer is not HTTP"
            return getattr(error, "strerror", None) or str(error)
        error = inner

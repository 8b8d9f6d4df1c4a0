"""What can go wrong in an HTTP exchange: faults that may pass, and those that will not."""

from __future__ import annotations

import requests
import urllib3

from mnistprep._http_headers import innermost
from mnistprep.errors import FetchError


class Unavailable(FetchError):
    """Raised when a URL gave no whole file. `absent`: its server works, but has no such file."""

    def __init__(self, reason: str, *, absent: bool = False) -> None:
        super().__init__(reason)
        self.absent = absent


class Fault(Exception):
    """A fault that may pass: the same URL is tried again, after `wait` seconds if that is known."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def translated(error: Exception, seconds: float) -> Exception:
    """The Unavailable or Fault that an error of requests, urllib3 or the system stands for.

    seconds: how long was waited for an answer. Nothing is repeated that may hold a password.
    """
    if isinstance(error, FetchError):
        return error
    if isinstance(error, requests.exceptions.SSLError):
        return Unavailable(f"no trusted TLS connection ({innermost(error)})")
    if isinstance(error, requests.exceptions.ReadTimeout):
        return Fault(f"no answer within {seconds:g} s")
    if isinstance(error, requests.exceptions.ProxyError):
        return Unavailable(f"the proxy does not work: {innermost(error)}")
    if isinstance(error, requests.exceptions.ConnectionError):
        refused = isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(
            getattr(error.args[0] if error.args else None, "reason", None),
            urllib3.exceptions.NewConnectionError,
        )
        kind = Unavailable if refused else Fault
        return kind(f"no connection ({innermost(error)})")
    if isinstance(error, (requests.exceptions.InvalidHeader, requests.exceptions.InvalidSchema)):
        return Unavailable(f"cannot be asked: {error}")
    if isinstance(error, (ValueError, urllib3.exceptions.LocationParseError)):  # InvalidURL too
        return Unavailable("is not a usable URL")
    return Unavailable(f"cannot be asked: {error}")

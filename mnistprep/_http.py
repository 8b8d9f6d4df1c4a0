"""Moving bytes over HTTP: resumed, retried, bounded in time and size, whatever they are.

Facts about the protocol are RFC 9110: Range and If-Range in section 14 and 13.1.5, Retry-After in
10.2.3. TLS certificates are always verified; proxies and CA bundles come from the environment, as
`requests` reads it.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3

from mnistprep._progress import Progress
from mnistprep.errors import FetchError, TargetError, describe

CONNECT_SECONDS = 4.0  # for name look-up and connection together, all addresses of a host
READ_SECONDS = 15.0  # without a single byte
SLOWEST = 4096  # bytes a second, on average over READ_SECONDS; below it a mirror is given up
TRIES = 3
BACK_OFF = 0.5  # seconds before the second try, doubled for each further one
PATIENCE = 20.0  # seconds; a server that asks to wait longer is left for the next mirror
REDIRECTS = 5
_BLOCK = 1 << 16

Peer = tuple[str, int]
Step = Literal["use", "resume", "download"]


class Unavailable(FetchError):
    """Raised when a URL gave no whole file. `absent`: its server works, but has no such file."""

    def __init__(self, reason: str, *, absent: bool = False) -> None:
        super().__init__(reason)
        self.absent = absent


class _Fault(Exception):
    """A fault that may pass: the same URL is tried again, after `wait` seconds if that is known."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def decide(partial: int, published: int | None, limit: int) -> Step:
    """What to do about a URL of which `partial` bytes are here: use them, get the rest, or get all.

    published: size of the file as the catalog knows it; limit: the most bytes that can be right.
    """
    if not 0 < partial < limit:
        return "download"
    return "use" if partial == published else "resume"


class Network:
    """The network as one fetch sees it: a session, partial files, and hosts found to be dead.

    folder: where partial files stay until they are whole, across processes; made when needed.
    """

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._session = requests.Session()
        # With an encoding, ranges and sizes would be those of another body (RFC 9110, 14.2).
        self._session.headers.update({"Accept-Encoding": "identity", "User-Agent": "mnistprep"})
        self._session.verify = os.environ.get("SSL_CERT_FILE") or True
        self._dead: set[tuple[str, ...]] = set()  # scheme and host
        self._knocks: dict[Peer, _Knock] = {}
        self._expected: list[str] = []

    def expect(self, urls: Iterable[str]) -> None:
        """Say which URLs come next: once a host fails to answer, theirs are tried side by side."""
        self._expected = list(urls)

    def is_dead(self, url: str) -> bool:
        """Whether the host of `url` has failed already, in a way that other files will not mend."""
        return urlsplit(url)[:2] in self._dead

    def partial(self, url: str) -> Path:
        """Where the bytes of `url` are kept."""
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"

    def discard(self, url: str) -> None:
        """Forget what has been received from `url`."""
        self.partial(url).unlink(missing_ok=True)
        self.partial(url).with_suffix(".tag").unlink(missing_ok=True)

    def download(self, url: str, published: int | None, limit: int) -> bool:
        """Bring the bytes of `url` to `partial(url)`; returns whether some are of an earlier try.

        published: its size according to the catalog; limit: bytes from which it cannot be right.
        Raises Unavailable, which leaves what was received to be resumed, and TargetError.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return self._download(url, published, limit)
        except Unavailable as error:
            if not error.absent:
                self._dead.add(urlsplit(url)[:2])
            raise
        except OSError as error:
            raise TargetError(f"cannot write {self._folder}: {describe(error)}") from error

    def _download(self, url: str, published: int | None, limit: int) -> bool:
        part = self.partial(url)
        tries = 0
        while True:
            have = part.stat().st_size if part.exists() else 0
            step = decide(have, published, limit)
            if step == "use":
                return True
            if step == "download":
                self.discard(url)
            try:
                return self._receive(url, have if step == "resume" else 0, limit)
            except _Fault as fault:
                tries += 1
                if tries == TRIES:
                    raise Unavailable(f"{fault}; tried {TRIES} times") from None
                pause = BACK_OFF * 2 ** (tries - 1) if fault.wait is None else fault.wait
                if pause > PATIENCE:
                    raise Unavailable(f"{fault} and asks to wait {pause:,.0f} s") from None
                time.sleep(pause)

    def _receive(self, url: str, offset: int, limit: int) -> bool:
        """Get the bytes of `url` from `offset` on; returns whether the first ones were kept."""
        part = self.partial(url)
        tag = part.with_suffix(".tag")
        headers = {}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if tag.exists():
                headers["If-Range"] = tag.read_text("latin-1")
        with self._request(url, headers) as response:
            status = response.status_code
            if status == 416 and offset:
                return True  # nothing beyond what is here; the content will tell whether it is all
            if status == 206 and _range_start(response) != offset:
                self.discard(url)
                raise _Fault("answers with another range than asked for")
            if status not in (200, 206):
                raise Unavailable(f"answers {_status(status)}", absent=True)
            if status == 200:
                offset = 0
                self.discard(url)
                if validator := _validator(response):
                    tag.write_text(validator, "latin-1")
            expected = _expected_size(response, offset)
            if expected is not None and expected > limit:
                raise Unavailable(
                    f"offers {expected:,} bytes, where at most {limit:,} can be right", absent=True
                )
            name = unquote(urlsplit(url).path.rpartition("/")[2])
            self._progress.start(f"{name} from {urlsplit(url).hostname}", expected, "B")
            self._progress.advance(offset)
            self._copy_body(response, part, offset, expected, limit)
        return offset > 0

    def _copy_body(
        self, response: requests.Response, part: Path, size: int, expected: int | None, limit: int
    ) -> None:
        since, before = time.monotonic(), size
        with part.open("ab" if size else "wb") as file:
            while block := _read(response):
                if size + len(block) > limit:
                    raise Unavailable(f"sends more than the {limit:,} bytes that can be right")
                file.write(block)
                file.flush()  # what has come is there for the next process, if this one is killed
                size += len(block)
                self._progress.advance(len(block))
                now = time.monotonic()
                if now - since >= READ_SECONDS:
                    if size - before < SLOWEST * (now - since):
                        raise Unavailable(f"sends too slowly: {size:,} bytes so far")
                    since, before = now, size
        if expected is not None and size < expected:
            raise _Fault(f"ends after {size:,} of {expected:,} bytes")

    def _request(self, url: str, headers: dict[str, str]) -> requests.Response:
        """The response of `url`, its body unread, after redirects that stay secure."""
        for _ in range(REDIRECTS + 1):
            response = self._answer(url, headers)
            if response.status_code == 429 or response.status_code >= 500:
                wait = _retry_after(response)
                response.close()
                raise _Fault(f"answers {_status(response.status_code)}", wait)
            target = self._session.get_redirect_target(response)
            if target is None:
                return response
            response.close()
            allowed = ("https",) if urlsplit(url).scheme == "https" else ("https", "http")
            try:
                url = urljoin(url, target)
                scheme = urlsplit(url).scheme
            except ValueError:
                raise Unavailable("redirects to what is no address", absent=True) from None
            if scheme not in allowed:
                raise Unavailable("redirects to an insecure address, which is refused", absent=True)
        raise Unavailable(f"redirects more than {REDIRECTS} times", absent=True)

    def _answer(self, url: str, headers: dict[str, str]) -> requests.Response:
        # Through the adapter: a session reads the bodies of redirects whole, however long.
        try:
            self._reach(url)
            settings = self._session.merge_environment_settings(url, {}, True, None, None)
            request = self._session.prepare_request(requests.Request("GET", url, headers))
            adapter = self._session.get_adapter(request.url or url)
            send = partial(
                adapter.send,
                request,
                stream=True,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                verify=settings["verify"] or True,
                cert=settings["cert"],
                proxies=settings["proxies"],
            )
            return _within(CONNECT_SECONDS + READ_SECONDS, send)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _translated(error) from None
        except ValueError as error:  # a host name that is none
            raise Unavailable(f"is not a usable URL: {error}") from None

    def _reach(self, url: str) -> None:
        """Raise Unavailable unless the host of `url`, or the proxy to it, takes connections.

        Left to itself, a connection would wait for each of a host's addresses in turn, and for
        name servers that never answer.
        """
        peer = self._peer(url)
        failed = any(knock.failed for knock in self._knocks.values())
        for other in [peer, *(map(self._peer, self._expected) if failed else ())]:
            if other not in self._knocks:
                self._knocks[other] = _Knock(other)
        self._knocks[peer].wait()

    def _peer(self, url: str) -> Peer:
        proxies = requests.utils.get_environ_proxies(url)
        proxy = requests.utils.select_proxy(url, proxies)
        if proxy:
            url = proxy if "://" in proxy else f"http://{proxy}"
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


class _Knock(threading.Thread):
    """A trial connection; a thread, because looking up a name cannot be given a time limit."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(daemon=True)
        self.peer = peer
        self.reason: str | None = f"no answer within {CONNECT_SECONDS:g} s"
        self.failed = False
        self._deadline = time.monotonic() + CONNECT_SECONDS
        self.start()

    def run(self) -> None:
        reason = None
        try:
            socket.create_connection(self.peer, CONNECT_SECONDS / 2).close()
        except socket.gaierror as error:
            reason = f"no address for the host name ({error.strerror})"
        except TimeoutError:
            reason = self.reason
        except (OSError, UnicodeError) as error:
            reason = f"no connection ({getattr(error, 'strerror', None) or error})"
        self.reason = reason

    def wait(self) -> None:
        self.join(max(0.0, self._deadline - time.monotonic()))
        if reason := self.reason:
            self.failed = True
            raise Unavailable(reason)


def _within(seconds: float, send: Callable[[], requests.Response]) -> requests.Response:
    """What `send` returns, if it is in time: a head that comes byte by byte has no other limit."""
    outcome: Future[requests.Response] = Future()

    def run() -> None:
        try:
            outcome.set_result(send())
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    wait([outcome], seconds)
    if not outcome.done():
        raise Unavailable(f"no answer within {seconds:g} s")
    return outcome.result()


def _read(response: requests.Response) -> bytes:
    """What is there of the body as it is on the wire, at least a byte until its end."""
    try:
        data: bytes = response.raw.read1(_BLOCK, decode_content=False)
        return data
    except urllib3.exceptions.ReadTimeoutError:
        raise _Fault(f"stalls for {READ_SECONDS:g} s") from None
    except (urllib3.exceptions.HTTPError, OSError):
        raise _Fault("breaks off") from None


def _translated(error: Exception) -> Exception:
    if isinstance(error, FetchError):
        return error
    if isinstance(error, requests.exceptions.SSLError):
        return Unavailable(f"no trusted TLS connection ({_innermost(error)})")
    if isinstance(error, requests.exceptions.ReadTimeout):
        return _Fault(f"no answer within {READ_SECONDS:g} s")
    if isinstance(error, requests.exceptions.ProxyError):
        return Unavailable(f"the proxy does not work: {_innermost(error)}")
    if isinstance(error, requests.exceptions.ConnectionError):
        refused = isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(
            getattr(error.args[0] if error.args else None, "reason", None),
            urllib3.exceptions.NewConnectionError,
        )
        kind = Unavailable if refused else _Fault
        return kind(f"no connection ({_innermost(error)})")
    return Unavailable(f"cannot be asked: {error}")


def _innermost(error: BaseException) -> str:
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


def _status(code: int) -> str:
    with suppress(ValueError):  # a code that no specification knows; the server's phrase is not
        return f"{code} {HTTPStatus(code).phrase}"  # repeated, it may hold anything
    return str(code)


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,18}", value):
        return float(value)
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _validator(response: requests.Response) -> str | None:
    """What If-Range may hold: a strong entity tag, else the date of the last change."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _range_start(response: requests.Response) -> int | None:
    found = re.match(r"bytes ([0-9]{1,18})-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _expected_size(response: requests.Response, offset: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return offset + int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None

"""Moving bytes over HTTP: resumed, retried, bounded in time and size, whatever they are.

Facts about the protocol are RFC 9110: Range and If-Range in section 14 and 13.1.5, Retry-After in
10.2.3. TLS certificates are always verified; proxies and CA bundles come from the environment, as
`requests` reads it.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3

from mnistprep import _http_headers as headers_of
from mnistprep._knock import Knock
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
Result = TypeVar("Result")
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


class Span(NamedTuple):
    """A part of a file on a server: bytes from `start` up to `stop` of `size`.

    validator: what If-Range takes, so that all parts are of one and the same file.
    """

    start: int
    stop: int
    size: int
    validator: str | None

    def key(self, url: str) -> str:
        """What the part is kept under."""
        return f"{url}#{self.start}-{self.stop}"


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
        self._knocks: dict[Peer, Knock] = {}
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

    def part(self, url: str, span: Span) -> bool:
        """Bring a part of the file at `url` to partial(span.key(url)), as `download` does.

        Raises Unavailable, also when the file is another one than the span was taken of.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return self._download(url, span.stop - span.start, span.stop - span.start + 1, span)
        except OSError as error:
            if isinstance(error, FetchError):
                raise
            raise TargetError(f"cannot write {self._folder}: {describe(error)}") from error

    def tail(self, url: str, count: int) -> tuple[bytes, Span] | None:
        """The last `count` bytes of the file at `url`, and which they are.

        None when the server does not serve parts of files. Raises Unavailable.
        """
        return self._patiently(lambda: self._tail(url, count))

    def _tail(self, url: str, count: int) -> tuple[bytes, Span] | None:
        with self._request(url, {"Range": f"bytes=-{count}"}) as response:
            if response.status_code in (200, 416):
                return None
            if response.status_code != 206:
                answer = headers_of.status(response.status_code)
                raise Unavailable(f"answers {answer}", absent=True)
            part = headers_of.content_range(response)
            if part is None or part.stop != part.size or part.stop - part.start > count:
                return None  # some other range than asked for: it does not know what it does
            data = bytearray()
            while len(data) <= part.stop - part.start and (block := _read(response)):
                data += block
            if len(data) != part.stop - part.start:
                raise _Fault(f"sends {len(data):,} bytes instead of {part.stop - part.start:,}")
            return bytes(data), Span(*part[:2], part.stop, headers_of.validator(response))

    def _patiently(self, attempt: Callable[[], Result]) -> Result:
        """What `attempt` returns, tried again while its faults may pass."""
        tries = 0
        while True:
            try:
                return attempt()
            except _Fault as fault:
                tries += 1
                if tries == TRIES:
                    raise Unavailable(f"{fault}; tried {TRIES} times") from None
                pause = BACK_OFF * 2 ** (tries - 1) if fault.wait is None else fault.wait
                if pause > PATIENCE:
                    raise Unavailable(f"{fault} and asks to wait {pause:,.0f} s") from None
                time.sleep(pause)

    def _download(
        self, url: str, published: int | None, limit: int, span: Span | None = None
    ) -> bool:
        key = span.key(url) if span else url
        part = self.partial(key)

        def attempt() -> bool:
            have = part.stat().st_size if part.exists() else 0
            step = decide(have, published, limit)
            if step == "download" or (span and self._tag(key) != span.validator):
                self.discard(key)
                have = 0
            elif step == "use":
                return True
            return self._receive(url, have, limit, span)

        return self._patiently(attempt)

    def _tag(self, key: str) -> str | None:
        tag = self.partial(key).with_suffix(".tag")
        return tag.read_text("latin-1") if tag.exists() else None

    def _receive(self, url: str, offset: int, limit: int, span: Span | None) -> bool:
        """Get the bytes of `url` from `offset` on; returns whether the first ones were kept."""
        key = span.key(url) if span else url
        part = self.partial(key)
        tag = span.validator if span else self._tag(key)
        headers = {}
        if span:
            headers["Range"] = f"bytes={span.start + offset}-{span.stop - 1}"
        elif offset:
            headers["Range"] = f"bytes={offset}-"
        if headers and tag:
            headers["If-Range"] = tag
        with self._request(url, headers) as response:
            status = response.status_code
            if status == 416 and offset and not span:
                return True  # nothing beyond what is here; the content will tell whether it is all
            if span and status in (200, 416):
                raise Unavailable("is another file than a moment ago", absent=True)
            if status == 206 and not _is_asked(response, offset, span):
                self.discard(key)
                raise _Fault("answers with another range than asked for")
            if status not in (200, 206):
                raise Unavailable(f"answers {headers_of.status(status)}", absent=True)
            if status == 200:
                offset = 0
                self.discard(key)
            new = span.validator if span else headers_of.validator(response)
            if not offset and new:
                part.with_suffix(".tag").write_text(new, "latin-1")
            expected = headers_of.expected_size(response, offset)
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
                wait = headers_of.retry_after(response)
                response.close()
                raise _Fault(f"answers {headers_of.status(response.status_code)}", wait)
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
                self._knocks[other] = Knock(other, CONNECT_SECONDS)
        if reason := self._knocks[peer].wait():
            raise Unavailable(reason)

    def _peer(self, url: str) -> Peer:
        proxies = requests.utils.get_environ_proxies(url)
        proxy = requests.utils.select_proxy(url, proxies)
        if proxy:
            url = proxy if "://" in proxy else f"http://{proxy}"
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _is_asked(response: requests.Response, offset: int, span: Span | None) -> bool:
    """Whether a 206 has the bytes that were asked for."""
    found = headers_of.content_range(response)
    if found is None:
        return False
    if span is None:
        return found.start == offset
    return found == (span.start + offset, span.stop, span.size)


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
        return Unavailable(f"no trusted TLS connection ({headers_of.innermost(error)})")
    if isinstance(error, requests.exceptions.ReadTimeout):
        return _Fault(f"no answer within {READ_SECONDS:g} s")
    if isinstance(error, requests.exceptions.ProxyError):
        return Unavailable(f"the proxy does not work: {headers_of.innermost(error)}")
    if isinstance(error, requests.exceptions.ConnectionError):
        refused = isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(
            getattr(error.args[0] if error.args else None, "reason", None),
            urllib3.exceptions.NewConnectionError,
        )
        kind = Unavailable if refused else _Fault
        return kind(f"no connection ({headers_of.innermost(error)})")
    return Unavailable(f"cannot be asked: {error}")

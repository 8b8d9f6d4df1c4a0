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
from shutil import rmtree
from typing import Literal, NamedTuple, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3

from mnistprep import _http_headers as headers_of
from mnistprep._http_faults import Fault, Unavailable, translated
from mnistprep._http_peer import Peer, peer_of
from mnistprep._http_wire import Adapter, Excess, wire_of
from mnistprep._knock import Knock
from mnistprep._progress import Progress
from mnistprep._text import printable

CONNECT_SECONDS = 4.0  # for name look-up and connection together, all addresses of a host
READ_SECONDS = 15.0  # without a single byte
SLOWEST = 4096  # bytes a second, on average over READ_SECONDS; below it a mirror is given up
LONGEST = 4 * 3600.0  # seconds for one URL, all tries together
TRIES = 3
BACK_OFF = 0.5  # seconds before the second try, doubled for each further one
PATIENCE = 20.0  # seconds; a server that asks to wait longer is left for the next mirror
REDIRECTS = 5
_BLOCK = 1 << 16

Result = TypeVar("Result")
Step = Literal["use", "resume", "download"]


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
        self._session.mount("http://", Adapter())
        self._session.mount("https://", Adapter())
        # With an encoding, ranges and sizes would be those of another body (RFC 9110, 14.2).
        self._session.headers.update({"Accept-Encoding": "identity", "User-Agent": "mnistprep"})
        self._session.verify = os.environ.get("SSL_CERT_FILE") or True
        self._dead: set[tuple[str, ...]] = set()  # scheme and host
        self._knocks: dict[Peer, Knock] = {}
        self._expected: list[str] = []
        self._end = 0.0  # of the time for what is being got, of time.monotonic()

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
        """Forget what has been received from `url`, or whatever else is in its place."""
        for path in (self.partial(url), self.partial(url).with_suffix(".tag")):
            if path.is_dir() and not path.is_symlink():
                rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def revive(self, url: str) -> None:
        """Ask the host of `url` again: it gave a whole file, whatever it did after it."""
        self._dead.discard(urlsplit(url)[:2])

    def download(self, url: str, published: int | None, limit: int) -> bool:
        """Bring the bytes of `url` to `partial(url)`; returns whether some are of an earlier try.

        published: its size according to the catalog; limit: bytes from which it cannot be right.
        Raises Unavailable, which leaves what was received to be resumed, and OSError when it
        cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            return self._download(url, published, limit)
        except Unavailable as error:
            if not error.absent:
                self._dead.add(urlsplit(url)[:2])
            raise

    def part(self, url: str, span: Span) -> bool:
        """Bring a part of the file at `url` to partial(span.key(url)), as `download` does.

        Raises Unavailable, also when the file is another one than the span was taken of.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._download(url, span.stop - span.start, span.stop - span.start + 1, span)

    def tail(self, url: str, count: int) -> tuple[bytes, Span] | None:
        """The last `count` bytes of the file at `url`, and which they are.

        None when the server does not serve parts of files. Raises Unavailable.
        """
        return self._patiently(lambda: self._tail(url, count), count)

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
            self._allow(response, part.stop - part.start)
            while len(data) <= part.stop - part.start and (block := _read(response)):
                data += block
            if len(data) != part.stop - part.start:
                raise Fault(f"sends {len(data):,} bytes instead of {part.stop - part.start:,}")
            return bytes(data), Span(*part[:2], part.stop, headers_of.validator(response))

    def _patiently(self, attempt: Callable[[], Result], limit: int) -> Result:
        """What `attempt` returns, tried again while its faults may pass.

        All of them end within LONGEST, and soon after `limit` bytes at the slowest would be here.
        """
        tries, slowest = 0, limit / SLOWEST + TRIES * READ_SECONDS
        self._end = time.monotonic() + min(slowest, LONGEST)
        while True:
            try:
                return attempt()
            except Fault as fault:
                tries += 1
                if tries == TRIES or time.monotonic() > self._end:
                    raise Unavailable(f"{fault}; tried {tries} times") from None
                pause = BACK_OFF * 2 ** (tries - 1) if fault.wait is None else fault.wait
                if pause > PATIENCE:
                    raise Unavailable(f"{fault} and asks to wait {pause:,.0f} s") from None
                time.sleep(pause)

    def _download(
        self, url: str, published: int | None, limit: int, span: Span | None = None
    ) -> bool:
        key = span.key(url) if span else url
        part = self.partial(key)
        if not _is_regular(part) or not _is_regular(part.with_suffix(".tag")):
            self.discard(key)

        def attempt() -> bool:
            have = _size(part)
            step = decide(have, published, limit)
            if step == "download" or (span and self._tag(key) != span.validator):
                self.discard(key)
                have = 0
            elif step == "use":
                return True
            return self._receive(url, have, limit, span)

        return self._patiently(attempt, limit)

    def _tag(self, key: str) -> str | None:
        tag = self.partial(key).with_suffix(".tag")
        return headers_of.usable(tag.read_text("latin-1")) if _size(tag) else None

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
                raise Fault("answers with another range than asked for")
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
            name = printable(unquote(urlsplit(url).path.rpartition("/")[2]), 80)
            self._progress.start(f"{name} from {urlsplit(url).hostname}", expected, "B")
            self._progress.advance(offset)
            self._copy_body(response, part, offset, expected, limit)
        return offset > 0

    def _copy_body(
        self, response: requests.Response, part: Path, size: int, expected: int | None, limit: int
    ) -> None:
        self._allow(response, limit)
        with part.open("ab" if size else "wb") as file:
            while block := _read(response):
                if size + len(block) > limit:
                    raise Unavailable(f"sends more than the {limit:,} bytes that can be right")
                file.write(block)
                file.flush()  # what has come is there for the next process, if this one is killed
                size += len(block)
                self._progress.advance(len(block))
        if expected is not None and size < expected:
            raise Fault(f"ends after {size:,} of {expected:,} bytes")

    def _allow(self, response: requests.Response, size: int) -> None:
        """Bound what the body may take, framing included, in bytes and in time."""
        if wire := wire_of(response):
            wire.allow(size, READ_SECONDS, SLOWEST, self._end)

    def _request(self, url: str, headers: dict[str, str]) -> requests.Response:
        """The response of `url`, its body unread, after redirects that stay secure."""
        for count in range(REDIRECTS + 1):
            try:
                response = self._answer(url, headers)
            except Unavailable as error:
                if not count:
                    raise
                raise Unavailable(
                    f"redirects to {printable(urlsplit(url).hostname or '', 80)}: {error}",
                    absent=error.absent,
                ) from None
            if response.status_code == 429 or response.status_code >= 500:
                wait = headers_of.retry_after(response)
                response.close()
                raise Fault(f"answers {headers_of.status(response.status_code)}", wait)
            if not response.is_redirect:
                return response
            response.close()
            allowed = ("https",) if urlsplit(url).scheme == "https" else ("https", "http")
            try:
                target = self._session.get_redirect_target(response)  # decodes what may be no text
                url = urljoin(url, target or "")
                scheme = urlsplit(url).scheme
                headers_of.check_address(url)
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
            # Not by the session, which sends what ~/.netrc has, in place of what the URL has.
            request = requests.Request("GET", url, {**self._session.headers, **headers}).prepare()
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
        except Excess as error:
            raise Unavailable(str(error)) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise translated(error, READ_SECONDS) from None
        except ValueError:  # a host name that is none
            raise Unavailable("is not a usable URL") from None

    def _reach(self, url: str) -> None:
        """Raise Unavailable unless the host of `url`, or the proxy to it, takes connections.

        Left to itself, a connection would wait for each of a host's addresses in turn, and for
        name servers that never answer.
        """
        peer, proxied = peer_of(url)
        failed = any(knock.failed for knock in self._knocks.values())
        expected = [peer_of(other)[0] for other in self._expected] if failed else []
        for other in [peer, *expected]:
            if other not in self._knocks:
                self._knocks[other] = Knock(other, CONNECT_SECONDS)
        if reason := self._knocks[peer].wait():
            raise Unavailable(f"the proxy {peer[0]}:{peer[1]}: {reason}" if proxied else reason)


def _is_regular(path: Path) -> bool:
    """Whether a file, and no link to one, may be written there or is there."""
    return not os.path.lexists(path) or (path.is_file() and not path.is_symlink())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


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
        if wire := wire_of(response):
            wire.receive(len(data))
        return data
    except Excess as error:
        raise Unavailable(str(error)) from None
    except urllib3.exceptions.ReadTimeoutError:
        raise Fault(f"stalls for {READ_SECONDS:g} s") from None
    except (urllib3.exceptions.HTTPError, OSError):
        raise Fault("breaks off") from None

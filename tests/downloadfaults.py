"""What servers do wrong, by name: what the tests of fetching inject, one fault at a time."""

import gzip
import random
import struct

from httpserver import (
    Fault,
    Handler,
    chunked,
    cut,
    endless,
    etag_of,
    for_ever,
    part,
    plain,
    range_of,
    raw,
    redirect,
    serve,
    slow_head,
    status,
    trickle,
    wrong_range,
)
from tinydata import BODY, FIRST, NAMES, OTHER, TINY

PLAIN = TINY[NAMES[0]]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKS = OK + b"Transfer-Encoding: chunked\r\n\r\n"
NOISE = random.Random(9).randbytes(len(BODY))
NOT_HTTP = "the answer is not HTTP"
SLOW = "too slowly"


def flipped(body: bytes, at: int) -> bytes:
    """The bytes with one bit changed."""
    return body[:at] + bytes([body[at] ^ 4]) + body[at + 1 :]


def bomb_of_the_right_size() -> bytes:
    """Twenty million zeros in a gzip file of as many bytes as the right one has."""
    body = gzip.compress(bytes(20_000_000), mtime=0)
    extra = bytes(len(BODY) - len(body) - 2)
    return body[:3] + b"\x04" + body[4:10] + struct.pack("<H", len(extra)) + extra + body[10:]


def answer(*headers: bytes, body: bytes = BODY, start: bytes = OK) -> Fault:
    """Send a head, byte for byte, and a body."""
    return raw(start + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body)


def open_end(data: bytes) -> Fault:
    """Send these bytes for an answer, and wait for the next request."""

    def send(handler: Handler) -> None:
        handler.wfile.write(data)

    return send


HEADS = (
    OK + b'Content-Length: 28844\r\nETag: "abc"\r\nContent-Type: application/gzip\r\n\r\n',
    b"HTTP/1.1 206 Part\r\nContent-Range: bytes 500-28843/28844\r\nContent-Length: 28344\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://localhost:1/x?y=z#f\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 No\r\nRetry-After: Fri, 01 Jan 2021 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
    CHUNKS + b"10\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n",
)
PIECES = (
    *(b"\r\n", b"\n", b"\r", b"\0", b"\xff", b": ", b" ", b"\t", b"-1", b"0", b"9" * 20, b"f" * 20),
    *(b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n"),
    *(b"Location: //\r\n", b"Location: http://[::1\r\n", b"Location: http://\xe4\r\n"),
    *(b"Location: http://xn--/\r\n", b"Location: http:x\r\n", b"Location: http://a b/\r\n"),
    *(b"Location: http://localhost:-1/\r\n", b"Set-Cookie: \xff=\xff; Max-Age=99999999999\r\n"),
    *(b"Content-Range: bytes 5-1/3\r\n", b"Retry-After: -0\r\n", b"Connection: upgrade\r\n"),
    *(b"HTTP/1.1 100 Continue\r\n\r\n", b"Retry-After: 1 Jan 0\r\n", b"ETag: W/\r\n"),
)


def damaged_answer(chance: random.Random) -> bytes:
    """A usual answer with a few changes anywhere in its head, before some of a body."""
    data = bytearray(chance.choice(HEADS))
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data) + 1)
        line = data.find(b"\n", at) + 1
        kind = chance.randrange(4)
        if kind == 0:
            data[at:at] = chance.choice(PIECES)
        elif kind == 1:
            del data[at : at + chance.randrange(1, 12)]
        elif kind == 2:
            data[at : at + 1] = bytes([chance.randrange(256)])
        else:
            data[line:line] = chance.choice(PIECES)
    return bytes(data) + BODY[: chance.choice([0, 10, 500, len(BODY)])]


# Of a mirror that does this and nothing else: the reason that the error must give, and the most
# requests that it may get for it.
FAULTS: dict[str, tuple[Fault, str, int]] = {
    # Refusals
    "unauthorised": (status(401, WWW_Authenticate="Basic"), "answers 401", 1),
    "forbidden": (status(403), "answers 403 Forbidden", 1),
    "missing": (status(404), "answers 404 Not Found", 1),
    "a proxy's refusal": (status(407), "answers 407", 1),
    "gone": (status(410), "answers 410 Gone", 1),
    "not modified": (status(304), "answers 304", 1),
    "strange status": (status(299), "answers 299", 1),
    "status 999": (status(999), "answers 999", 3),
    "no content": (status(204), "answers 204", 1),
    "early hints only": (answer(start=b"HTTP/1.1 103 Early Hints\r\n"), NOT_HTTP, 3),
    "switches protocols": (status(101), "answers 101", 1),
    # Busy
    "too many": (status(429), "answers 429 Too Many Requests; tried 3 times", 3),
    "server error": (status(500), "answers 500", 3),
    "bad gateway": (status(502), "answers 502 Bad Gateway; tried 3 times", 3),
    "unavailable": (status(503), "answers 503 Service Unavailable; tried 3 times", 3),
    "asks to wait": (status(503, Retry_After=3600), "503 .* asks to wait 3,600 s", 1),
    "asks to wait thirty years": (status(429, Retry_After=10**9), "asks to wait 1,0+,0+,0+ s", 1),
    "asks to wait till": (
        status(503, Retry_After="Fri, 01 Jan 2100 00:00:00 GMT"),
        "503 .* asks to wait",
        1,
    ),
    "asks to wait till long ago": (
        status(503, Retry_After="Fri, 31 Dec 1999 23:59:59 GMT"),
        "503 .* tried 3 times",
        3,
    ),
    "asks to wait till no date": (
        status(503, Retry_After="Fri, 99 Foo 99999999 99:99:99 +99999999"),
        "503 .* tried 3 times",
        3,
    ),
    "asks to wait less than nothing": (status(503, Retry_After=-5), "503 .* tried 3 times", 3),
    "asks to wait for 5000 digits": (status(503, Retry_After="9" * 5000), "503 .* tried 3", 3),
    "asks to wait for infinity": (status(503, Retry_After="inf"), "503 .* tried 3 times", 3),
    "asks nonsense": (status(503, Retry_After="soon"), "503 .* tried 3 times", 3),
    # Connections that break or hang
    "reset at once": (lambda handler: handler.reset(), "no connection", 3),
    "hangs up at once": (lambda handler: setattr(handler, "close_connection", True), "no conn", 3),
    "silence": (lambda handler: handler.server.ending.wait(9) and None, "no answer within", 3),
    "reset in the head": (raw(OK + b"Content-Le"), "0 bytes of|breaks off|no conn|not HTTP", 3),
    "reset in the body": (cut(BODY, 10), "breaks off", 3),
    "closed in the body": (cut(BODY, 10, how="close"), "breaks off|ends after", 3),
    "stalls": (cut(BODY, 10, how="stall"), "stalls for 0.3 s", 3),
    "stalls before the body": (cut(BODY, 0, how="stall"), "stalls for 0.3 s", 3),
    "trickles": (trickle(BODY, 0.01), SLOW, 1),
    "trickles just below the time-out": (trickle(BODY, 0.2), SLOW, 1),
    "trickles its head": (slow_head, "no answer within 0.3 s", 1),
    "trickles chunks": (for_ever(CHUNKS, b"1\r\n\0\r\n", 0.02), SLOW, 1),
    "trickles a chunk size": (for_ever(CHUNKS, b"0", 0.02), SLOW, 1),
    "trickles trailers": (for_ever(CHUNKS + b"1\r\n\0\r\n0\r\n", b"A: b\r\n", 0.02), SLOW, 1),
    # What never ends
    "endless": (endless, "more than the [0-9,]+ bytes that can be right", 1),
    "endless chunks": (for_ever(CHUNKS, b"1000\r\n" + bytes(4096) + b"\r\n"), "more than", 1),
    "endless tiny chunks": (for_ever(CHUNKS, b"1\r\n\0\r\n"), "more than|too slowly", 1),
    "endless chunk extension": (for_ever(CHUNKS + b"1", b";x=y"), "breaks off", 3),
    "endless chunk extensions": (
        for_ever(CHUNKS, b"1;" + b"x" * 60_000 + b"\r\n\0\r\n"),
        "more than",
        1,
    ),
    "endless trailers": (for_ever(CHUNKS + b"1\r\n\0\r\n0\r\n", b"A: b\r\n"), "more than", 1),
    "endless interim answers": (
        for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "more than [0-9,]+ bytes before its answer",
        1,
    ),
    "endless early hints": (
        for_ever(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
        "more than [0-9,]+ bytes before its answer",
        1,
    ),
    "slow early hints": (for_ever(b"", b"HTTP/1.1 103 E\r\nA: b\r\n\r\n", 0.02), "no answer", 1),
    "slow interim answers": (for_ever(b"", b"HTTP/1.1 100 C\r\n\r\n", 0.02), "no answer", 1),
    "endless headers": (for_ever(OK, b"A: b\r\n"), "sends more than 100 header lines", 1),
    "an endless header": (for_ever(OK, b"x"), NOT_HTTP, 3),
    "headers of a megabyte": (
        for_ever(OK, b"A: " + b"b" * 60_000 + b"\r\n"),
        "more than [0-9,]+ bytes before its answer",
        1,
    ),
    "an endless status": (for_ever(b"HTTP/1.1 200 ", b"O"), NOT_HTTP, 3),
    "an endless refusal": (for_ever(b"HTTP/1.1 404 No\r\n\r\n", b"x"), "answers 404", 1),
    "an endless redirection": (
        for_ever(b"HTTP/1.1 302 No\r\nLocation: /nothing\r\n\r\n", b"x"),
        "answers 404",
        2,
    ),
    # Lengths
    "promises too much": (plain(BODY, length=10**12), "offers 1,000,000,000,000 bytes", 1),
    "promises nonsense": (plain(BODY[:50], length=-7), "50 bytes of", 1),
    "truncated": (plain(BODY[:727]), f"727 bytes of {len(BODY):,}", 1),
    "empty": (plain(b""), "0 bytes of", 1),
    "too short a length": (plain(BODY, length=100), f"100 bytes of {len(BODY):,}", 1),
    "no length, truncated": (answer(body=BODY[:99]), "99 bytes of", 1),
    "a length of 5000 digits": (
        answer(b"Content-Length: " + b"9" * 5000, body=b"hello"),
        "5 bytes of",
        1,
    ),
    "two lengths": (answer(b"Content-Length: 9", b"Content-Length: 10"), "cannot be asked", 1),
    "a length and chunks, truncated": (
        raw(chunked(BODY[:99]).replace(b"\r\n", b"\r\nContent-Length: 50\r\n", 1)),
        "99 bytes of",
        1,
    ),
    # Content
    "a bit flipped": (plain(flipped(BODY, 5000)), "SHA-256|damaged gzip", 1),
    "the last bit flipped": (plain(flipped(BODY, len(BODY) - 1)), "SHA-256|damaged gzip|holds", 1),
    "right length": (
        plain(gzip.compress(flipped(PLAIN, 5000))),
        "SHA-256 of the content is [0-9a-f]{64}, expected [0-9a-f]{64}",
        1,
    ),
    "right length, all zeros": (plain(bytes(len(BODY))), "holds|SHA-256|not complete", 1),
    "right length, noise": (plain(NOISE), "holds|SHA-256|not complete|damaged", 1),
    "plain, of the right length": (plain(flipped(PLAIN, 5000)), "SHA-256 of the content is", 1),
    "web page": (plain(b" <!DOCTYPE HTML><title>Hi</title>"), "this is an HTML page", 1),
    "web page, packed": (plain(gzip.compress(b"<html>" * 9999)), "this is an HTML page", 1),
    "web page of the right length": (
        plain(b"<html>".ljust(len(BODY))),
        "this is an HTML page",
        1,
    ),
    "wrong dataset": (
        plain(gzip.compress(OTHER[NAMES[0]])),
        "this is OTHER's train-images-idx3-ubyte",
        1,
    ),
    "wrong file": (plain(TINY[NAMES[1]]), "this is TINY's train-labels-idx1-ubyte", 1),
    "bomb": (plain(gzip.compress(bytes(50_000_000))), "more than [0-9,]+ bytes when inflated", 1),
    "nested bomb": (
        plain(gzip.compress(gzip.compress(bytes(50_000_000)))),
        "more than [0-9,]+ bytes when inflated",
        1,
    ),
    "bomb of the right length": (
        plain(bomb_of_the_right_size()),
        "holds 20,000,000 bytes, expected 28,816",
        1,
    ),
    "unknown encoding": (
        plain(b"\x1b\x03" + BODY[9:], Content_Encoding="br"),
        "holds [0-9,]+ bytes",
        1,
    ),
    # Redirections
    "redirect loop": (lambda handler: redirect(handler.path)(handler), "redirects more than 5", 6),
    "redirect that grows": (
        lambda handler: redirect(handler.path + "?" + "x" * 99)(handler),
        "redirects more than 5|answers 404",
        6,
    ),
    "redirect to a file": (redirect("file:///etc/passwd"), "insecure address", 1),
    "redirect to ftp": (redirect("ftp://localhost/x"), "insecure address", 1),
    "redirect to data": (redirect("data:;base64,AAAA"), "insecure address", 1),
    "redirect to a script": (redirect("javascript:alert(1)"), "insecure address", 1),
    "redirect to no address": (redirect("http://[::oops"), "no address", 1),
    "redirect to no host": (redirect("http://"), "redirects more than 5", 6),
    "redirect to port 99999": (redirect("http://localhost:99999/"), "no address", 1),
    "redirect to nowhere": (redirect("http://nowhere.invalid/"), "no address", 1),
    "redirect to a host with a NUL": (redirect("http://a\0b/"), "no connection|usable|address", 1),
    "redirect to a host with dots": (redirect("http://a..b/"), "no connection|usable|address", 1),
    "redirect in no alphabet": (
        answer(b"Location: http://\xff\xfe/\xe9", start=b"HTTP/1.1 302 Found\r\n"),
        "no address|usable|no connection",
        1,
    ),
    "redirect without address": (status(302), "answers 302 Found", 1),
    "several choices": (status(300), "answers 300", 1),
    # Parts
    "unasked part": (status(206), "another range", 3),
    "an unasked part, named": (part(BODY[:99], f"bytes 0-98/{len(BODY)}"), "99 bytes of", 1),
    "an unasked part from the middle": (part(BODY[9:], "bytes 9-99/100"), "another range", 3),
    "an unasked part of nonsense": (part(BODY, "bytes 9-1/x"), "another range", 3),
    "unasked parts": (
        part(b"--x\r\n", "", Content_Type="multipart/byteranges; boundary=x"),
        "another range",
        3,
    ),
    "no such range, unasked": (status(416), "answers 416", 1),
    # Not HTTP
    "not HTTP": (raw(b"\x1b[31mSSH-2.0\r\n"), NOT_HTTP, 3),
    "HTTP/0.9": (raw(b"<html>Hello</html>"), NOT_HTTP, 3),
    "a file and no head": (raw(BODY), NOT_HTTP, 3),
    "HTTP/9.9": (answer(start=b"HTTP/9.9 200 OK\r\n"), NOT_HTTP, 3),
    "no status": (answer(start=b"HTTP/1.1 yes OK\r\n"), NOT_HTTP, 3),
    "status 0": (answer(start=b"HTTP/1.1 000 OK\r\n"), NOT_HTTP, 3),
    "a TLS alert": (raw(b"\x15\x03\x01\x00\x02\x02\x0a"), NOT_HTTP, 3),
    "not a chunk": (raw(CHUNKS + b"zz\r\n"), "breaks off", 3),
    "a chunk of terabytes": (raw(CHUNKS + b"f" * 15 + b"\r\n\0"), "breaks off|ends after", 3),
}

# What one mirror alone gets over, for the first file; a list is what it does one after the other.
HARMLESS: dict[str, Fault | list[Fault]] = {
    "early hints": raw(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + chunked(BODY)),
    "interim answers": raw(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 199 What\r\nA: b\r\n\r\n" + chunked(BODY)
    ),
    "busy once": [status(503, Retry_After=0)],
    "reset once": [lambda handler: handler.reset()],
    "not HTTP once": [raw(b"\0\1\2")],
    "breaks once": [cut(BODY, 500)],
    "breaks twice": [cut(BODY, 500), cut(BODY, 700, how="close")],
    "breaks before the last byte": [cut(BODY, len(BODY) - 1)],
    "stalls once": [cut(BODY, 500, how="stall")],
    "ignores ranges": [cut(BODY, 500), plain(BODY)],
    "answers another range": [cut(BODY, 500), wrong_range(BODY)],
    "answers a later range": [cut(BODY, 500), part(BODY[600:], f"bytes 600-{len(BODY) - 1}/*")],
    "answers without a range": [cut(BODY, 500), part(BODY[500:], "")],
    "answers several ranges": [
        cut(BODY, 500),
        part(BODY[500:], "", Content_Type="multipart/byteranges; boundary=x"),
    ],
    "answers with fewer bytes": [cut(BODY, 500), part(BODY[500:600], "bytes 500-599/600")],
    "answers with more bytes": [
        cut(BODY, 500),
        part(BODY[500:] + bytes(900), f"bytes 500-{len(BODY) - 1}/{len(BODY)}"),
    ],
    "answers with other bytes": [
        cut(BODY, 500),
        part(NOISE[500:], f"bytes 500-{len(BODY) - 1}/{len(BODY)}"),
    ],
    "has no such range": [cut(BODY, 500), status(416)],
    "changed meanwhile": [cut(gzip.compress(OTHER[NAMES[0]]), 500), serve(BODY)],
    "changed meanwhile, tag ignored": [
        cut(gzip.compress(OTHER[NAMES[0]]), 500),
        range_of(BODY),
        serve(BODY),
    ],
    "tag of two lines": [
        answer(b"Content-Length: 60000", b'ETag: "a', b'  b"', body=BODY[:500]),
    ],
    "tag of nonsense": [
        answer(b"Content-Length: 60000", b'ETag: "\xff\x01\x1b"', body=BODY[:500]),
    ],
    "tag of 60,000 bytes": [
        answer(b"Content-Length: 60000", b'ETag: "' + b"x" * 60_000 + b'"', body=BODY[:500]),
    ],
    "a last change that is no date": [
        answer(b"Content-Length: 60000", b"Last-Modified: \x01 yesterday", body=BODY[:500]),
    ],
    "redirects": redirect("/moved/" + FIRST),
    "redirects with a body": for_ever(
        b"HTTP/1.1 301 x\r\nLocation: /moved/" + FIRST.encode() + b"\r\n\r\n", b"x"
    ),
    "compressed twice": plain(gzip.compress(BODY), Content_Encoding="gzip"),
    "decompressed on the way": plain(PLAIN),
    "decompressed, said to be compressed": plain(PLAIN, Content_Encoding="gzip"),
    "compressed, said to be twice": plain(BODY, Content_Encoding="gzip, gzip"),
    "recompressed": plain(gzip.compress(PLAIN, 1)),
    "stored, not compressed": plain(gzip.compress(PLAIN, 0)),
    "promises more than there is": plain(BODY, length=len(BODY) + 1000),
    "sends more than it promised": answer(b"Content-Length: %d" % len(BODY), body=BODY + BODY),
    "sends an answer nobody asked for": open_end(
        OK
        + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
        + OK
        + b"Content-Length: 3\r\n\r\nbad"
    ),
    "no length": answer(),
    "a length below nothing": plain(BODY, length=-7),
    "a length that is no number": answer(b"Content-Length: many"),
    "HTTP/1.0": answer(start=b"HTTP/1.0 200 OK\r\n"),
    "chunks": raw(chunked(BODY)),
    "chunks with a trailer": raw(chunked(BODY, b"0\r\nA: b\r\n\r\n")),
    "chunks without an end": raw(chunked(BODY, b"")),
    "chunks with an endless trailer": for_ever(chunked(BODY, b"0\r\n"), b"A: b\r\n"),
    "a chunk of less than nothing": raw(CHUNKS + b"-5\r\n" + BODY),
    "an interim answer": raw(b"HTTP/1.1 100 Continue\r\n\r\n" + chunked(BODY)),
    "a part that is all": part(BODY, f"bytes 0-{len(BODY) - 1}/{len(BODY)}", ETag=etag_of(BODY)),
}

# Those that take a second or so, since waiting or inflating is what they are about.
LONG = {
    "bomb",
    "stalls",
    "silence",
    "stalls before the body",
    "trickles just below the time-out",
    "trickles chunks",
    "trickles a chunk size",
    "trickles trailers",
    "trickles its head",
    "slow interim answers",
    "endless tiny chunks",
    "endless chunk extensions",
    "nested bomb",
}

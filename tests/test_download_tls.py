"""Fetching over TLS and through proxies: nobody is trusted who should not be, nothing is leaked."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from httpserver import Fault, Server, for_ever, raw, redirect, refusing, running, status
from tinydata import (
    CERTIFICATE,
    FIRST,
    TINY,
    assert_fetched,
    assert_nothing,
    fill,
    publish,
)

from mnistprep.download import fetch
from mnistprep.errors import FetchError, UsageError

CERTIFICATES = CERTIFICATE.parent / "certificates"  # each trusted by itself but for one thing


pytestmark = pytest.mark.usefixtures("cache")


def test_tls_is_verified_with_the_bundle_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A self-signed certificate is refused, unless the environment says to trust it."""
    with running(CERTIFICATE) as server:
        fill(server, "", TINY)
        publish(monkeypatch, (server.base,))
        with pytest.raises(
            FetchError, match=r"no trusted TLS connection .*self.signed certificate"
        ):
            fetch("tiny")
        assert server.seen == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
        with pytest.raises(FetchError, match=r"/nowhere/bundle\.pem"):
            fetch("tiny")
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        assert_fetched(fetch("tiny"))


BAD_CERTIFICATES = {
    "expired": ("expired", r"certificate has expired"),
    "not yet valid": ("premature", r"certificate is not yet valid"),
    "of another host": ("otherhost", r"[Hh]ostname mismatch"),
    "of nobody known": (None, r"self.signed certificate"),
}


@pytest.mark.parametrize("fault", BAD_CERTIFICATES)
def test_a_bad_certificate_leads_to_the_next_mirror(
    fault: str, monkeypatch: pytest.MonkeyPatch, server: Server, cache: Path
) -> None:
    """Whoever signed it, a certificate out of its time or of another host proves nothing."""
    name, reason = BAD_CERTIFICATES[fault]
    certificate = CERTIFICATES / f"{name}.pem" if name else CERTIFICATE
    if name:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with running(certificate) as bad:
        fill(bad, "", TINY)
        publish(monkeypatch, (bad.base,))
        with pytest.raises(FetchError, match=f"no trusted TLS connection .*{reason}"):
            fetch("tiny")
        assert bad.seen == []
        assert_nothing(cache)
        publish(monkeypatch, (bad.base, server.base))
        assert_fetched(fetch("tiny"))
        assert bad.seen == []


@pytest.mark.slow
def test_a_server_without_tls_and_one_that_says_nothing(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    """What answers a handshake with HTTP, or not at all, is left for the next mirror in time."""
    plain = server.base.replace("http:", "https:")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        silent = f"https://127.0.0.1:{mute.getsockname()[1]}/"
        publish(monkeypatch, (plain, silent))
        begin = time.monotonic()
        with pytest.raises(FetchError) as caught:
            fetch("tiny")
        publish(monkeypatch, (plain, silent, server.base))
        assert_fetched(fetch("tiny"))
    assert time.monotonic() - begin < 10
    assert f"{plain}{FIRST}: no trusted TLS connection" in str(caught.value)
    assert f"{silent}{FIRST}: no " in str(caught.value)


def test_tls_on_a_port_for_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that expects TLS gives an error, not data."""
    with running(CERTIFICATE) as secure:
        publish(monkeypatch, (secure.base.replace("https:", "http:"),))
        with pytest.raises(FetchError, match=r"no connection|not HTTP"):
            fetch("tiny")


@pytest.mark.parametrize("where", ["file", "loop through https"])
def test_redirects_from_https_to_http_are_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """An encrypted request never goes on in the clear, at the first step or a later one."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with running(CERTIFICATE) as secure:
        secure.faults["away"] = redirect(server.base + FIRST)
        secure.faults[FIRST] = redirect(
            server.base + FIRST if where == "file" else f"{secure.base}away"
        )
        publish(monkeypatch, (secure.base,))
        with pytest.raises(FetchError, match="redirects to an insecure address"):
            fetch("tiny")
    assert server.seen == []


def test_redirects_from_http_to_https_are_followed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other way round is an improvement."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with running(CERTIFICATE) as secure:
        fill(secure, "", TINY)
        server.faults[FIRST] = redirect(secure.base + FIRST)
        publish(monkeypatch, (server.base,))
        assert_fetched(fetch("tiny"))
        assert secure.paths() == [f"/{FIRST}"]


# Proxies


def test_proxies_of_the_environment_are_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With http_proxy set, every request goes there; a proxy that is not there is named."""
    monkeypatch.setenv("http_proxy", server.base)
    publish(monkeypatch, ("http://mirror.invalid/",))
    assert_fetched(fetch("tiny"))
    assert server.paths()[0] == f"http://mirror.invalid/{FIRST}"
    gone = refusing()
    monkeypatch.setenv("http_proxy", gone.replace("//", "//user:secret@"))
    monkeypatch.setenv("MNISTPREP_HOME", os.environ["MNISTPREP_HOME"] + "2")
    with pytest.raises(FetchError, match=r"the proxy localhost:[0-9]+: no connection") as caught:
        fetch("tiny")
    assert "secret" not in str(caught.value)


def test_https_goes_through_a_tunnel(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy relays TLS without seeing into it, and the certificate is the mirror's."""
    monkeypatch.setenv("https_proxy", server.base.replace("//", "//user:secret@"))
    with running(CERTIFICATE) as secure:
        fill(secure, "", TINY)
        publish(monkeypatch, (secure.base,))
        with pytest.raises(FetchError, match="no trusted TLS connection"):
            fetch("tiny")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
        assert_fetched(fetch("tiny"))
        port = secure.server_address[1]
        assert set(server.paths()) == {f"localhost:{port}"}
        assert server.seen[-1][1]["Proxy-Authorization"].startswith("Basic ")
        assert len(secure.seen) == 4
        assert not any("Proxy-Authorization" in headers for _, headers in secure.seen)


def test_no_proxy_is_honoured(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts in no_proxy are asked directly."""
    monkeypatch.setenv("http_proxy", refusing())
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    publish(monkeypatch, (server.base,))
    assert_fetched(fetch("tiny"))
    assert server.paths()[0] == f"/{FIRST}"


BAD_PROXIES: dict[str, tuple[Fault | str, str]] = {
    "refuses": (status(403), "the proxy does not work: .*403"),
    "wants a password": (status(407), "the proxy does not work: .*407"),
    "finds nobody": (status(502), "the proxy does not work: .*502"),
    "refuses in colours": (raw(b"HTTP/1.1 403 \x1b[31mNo\r\n\r\n"), r"403 \S+\[31mNo"),
    "hangs up": (lambda handler: handler.reset(), "the proxy does not work|no connection"),
    "is silent": (lambda handler: handler.server.ending.wait(9) and None, "the proxy|no "),
    "speaks no HTTP": (raw(b"\0\1\2\3\r\n"), "the answer is not HTTP|the proxy does not work"),
    "never ends its head": (for_ever(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"), "more than|not HTTP"),
    "trickles its head": (for_ever(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", 0.02), "no answer within"),
    "connects to nothing": (raw(b"HTTP/1.1 200 OK\r\n\r\n"), "TLS connection|no connection"),
    "connects to a page": (
        raw(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        "TLS connection|no connection",
    ),
    "is not there": (refusing(), "the proxy localhost:[0-9]+: no connection"),
    "has no address": ("http://nowhere.invalid:3128", "the proxy nowhere.invalid:3128: no address"),
    "is no URL": ("http://[::oops", r"environment names a proxy, 'http://\[::oops'"),
    "has a port that is none": ("http://user:secret@localhost:99999", "a proxy, 'localhost:99999'"),
    "has no host": ("http://", "the environment names a proxy, .*no usable address"),
    "is of an unknown kind": (
        "gopher://localhost:7",
        "the environment names a proxy, .*HTTP_PROXY",
    ),
}


# urllib3 2.2 leaves the answer of a proxy that refuses to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(name, marks=[] if name in ("refuses", "is not there") else pytest.mark.slow)
        for name in BAD_PROXIES
    ],
)
def test_a_failing_proxy(
    fault: str, monkeypatch: pytest.MonkeyPatch, server: Server, cache: Path
) -> None:
    """A proxy that fails is an attempt like others, with its reason, in bounded time and bytes."""
    happens, reason = BAD_PROXIES[fault]
    monkeypatch.setenv("https_proxy", happens if isinstance(happens, str) else server.base)
    if not isinstance(happens, str):
        server.faults["CONNECT"] = happens
    publish(monkeypatch, ("https://mirror.invalid/",))
    begin = time.monotonic()
    with pytest.raises(FetchError, match=rf"https://mirror\.invalid/{FIRST}: .*({reason})") as got:
        fetch("tiny")
    assert "\x1b" not in str(got.value)
    assert "secret" not in str(got.value)
    assert_nothing(cache)
    publish(monkeypatch, ("https://mirror.invalid/", server.base))
    assert_fetched(fetch("tiny"))
    assert time.monotonic() - begin < 10
    assert server.sent < 20_000_000


# Hosts and secrets


def test_a_host_of_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses in brackets are as good as names."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    with running(host="::1") as server:
        fill(server, "", TINY)
        publish(monkeypatch, (server.base,))
        assert server.base.startswith("http://[::1]:")
        assert_fetched(fetch("tiny"))


@pytest.mark.parametrize(
    "mirror",
    [
        "ftp://user:secret@localhost/",
        "http://user:secret@localhost:none/",
        "http://user:sec/secret@localhost/",
        "http://user:secret@[::oops/",
        "http://user:secret@/",
        "gopher://localhost/?token=secret",
    ],
)
def test_passwords_in_unusable_mirrors_are_not_shown(
    mirror: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused as a mirror is named without what may be secret in it."""
    publish(monkeypatch, ())
    with pytest.raises(UsageError, match="a mirror is an http or https URL") as caught:
        fetch("tiny", [mirror])
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("MNISTPREP_MIRROR", mirror)
    with pytest.raises(FetchError, match="MNISTPREP_MIRROR: ") as reported:
        fetch("tiny")
    assert "secret" not in str(reported.value)


@pytest.mark.parametrize(
    "target",
    [
        "http://user:secret@localhost:99999/",
        "http://user:secret@[::oops/",
        "http://user:secret@nowhere.invalid/",
        "http://user:secret@a..b/?token=secret",
        "http://user:secret@\x7f/",
        "ftp://user:secret@localhost/",
    ],
)
def test_passwords_in_redirections_are_not_shown(
    target: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed addresses of storage services are not printed."""
    server.faults[FIRST] = redirect(target)
    publish(monkeypatch, (server.base,))
    with pytest.raises(FetchError) as caught:
        fetch("tiny")
    assert "secret" not in str(caught.value)

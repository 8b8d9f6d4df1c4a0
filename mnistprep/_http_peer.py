"""What a connection is made to: the server of a URL, or the proxy that the environment names."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests

from mnistprep._http_faults import Unavailable
from mnistprep._http_headers import check_address
from mnistprep._text import printable

Peer = tuple[str, int]
_SOCKS = dict.fromkeys(("socks4", "socks4a", "socks5", "socks5h"), 1080)
_PORTS = {"http": 80, "https": 443, **_SOCKS}


def peer_of(url: str) -> tuple[Peer, bool]:
    """Host and port that a connection for `url` is made to, and whether that is a proxy.

    Raises Unavailable for a proxy whose address is none, which is no fault of the server.
    """
    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    if not proxy:
        return _address(url), False
    try:
        address = proxy if "://" in proxy else f"http://{proxy}"
        check_address(address)
        return _address(address), True
    except (ValueError, KeyError):
        shown = printable(proxy.rpartition("@")[2], 80)  # without the password that it may hold
        raise Unavailable(
            f"not asked: the environment names a proxy, {shown!r}, that is no usable address; "
            "mend or unset HTTP_PROXY, HTTPS_PROXY or ALL_PROXY"
        ) from None


def _address(url: str) -> Peer:
    parts = urlsplit(url)
    usual = _PORTS[parts.scheme]  # also with a port, as no other kind of proxy is known
    return parts.hostname or "", parts.port or usual

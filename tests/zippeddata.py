"""A zip of two tiny EMNIST sets, and a server of it that serves ranges."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import re
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from httpserver import Fault, Handler, Server, etag_of
from test_family import emnist_files, upright

from mnistprep import catalog
from mnistprep.catalog import Archive, Content, Published

ZIP = "emnist/gzip.zip"
LETTERS = upright("emnist-letters", (28, 28))
DIGITS = upright("emnist-digits", (28, 28))
FILES = {
    f"{name}.gz": gzip.compress(data, mtime=0)
    for part, dataset in (("letters", LETTERS), ("digits", DIGITS))
    for name, data in emnist_files(dataset, part).items()
}


def zipped() -> bytes:
    """A zip as NIST's: members in gzip/, deflated or stored, and 300 KB of other members."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("gzip/", b"")
        for k, (name, data) in enumerate(FILES.items()):
            kind = zipfile.ZIP_STORED if k % 2 else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(f"gzip/{name}"), data, kind)
        other = np.random.default_rng(0).bytes(300_000)
        archive.writestr(zipfile.ZipInfo("gzip/emnist-other.gz"), other)
    return body.getvalue()


BODY = zipped()


def published(
    row: Published, files: dict[str, bytes], counts: dict[str, int], *, known: str
) -> Published:
    """The row with the sums of these files; known: `packed`, or `plain` too."""
    found = []
    for file in row.files:
        packed = files[file.packed.name]
        unpack = lzma.decompress if file.packed.name.endswith(".xz") else gzip.decompress
        inside = unpack(packed)
        sums = hashlib.sha256(inside).hexdigest() if known == "plain" else None
        found.append(
            replace(
                file,
                plain=Content(file.plain.name, len(inside), sha256=sums),
                packed=Content(file.packed.name, sha256=hashlib.sha256(packed).hexdigest()),
            )
        )
    return replace(row, files=tuple(found), splits=counts, mirrors=(), whole=())


def parts(body: bytes, *, tag: bool = True, cut: int | None = None) -> Fault:
    """Serve any range, as servers of files do; with `cut`, hang up after so many bytes of it."""

    def answer(handler: Handler) -> None:
        etag = {"ETag": etag_of(body)} if tag else {}
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", handler.headers.get("Range", ""))
        if not found or handler.headers.get("If-Range", etag_of(body)) != etag_of(body):
            handler.head(200, Content_Length=len(body), **etag)
            handler.wfile.write(body)
            return
        if found[1]:
            start, stop = int(found[1]), min(int(found[2] or len(body)) + 1, len(body))
        else:
            start, stop = max(0, len(body) - int(found[2])), len(body)
        span = f"bytes {start}-{stop - 1}/{len(body)}"
        sent.append(stop - start)  # before the other side can have it
        handler.head(206, Content_Length=stop - start, Content_Range=span, **etag)
        handler.wfile.write(body[start:stop][:cut])

    return answer


sent: list[int] = []


def publish_zip(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """Put the zip on the server, and two sets that are in it into the catalog."""
    server.faults[ZIP] = parts(BODY)
    archive = Archive(
        Content("gzip.zip", len(BODY), sha256=hashlib.sha256(BODY).hexdigest()),
        (server.base + ZIP,),
    )
    for part, known in (("letters", "packed"), ("digits", "plain")):
        row = catalog.get(f"emnist-{part}")
        row = published(row, FILES, {"train": 40, "test": 15}, known=known)
        monkeypatch.setitem(catalog.DATASETS, row.name, replace(row, archive=archive))

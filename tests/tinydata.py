"""Two tiny published datasets, `tiny` and `other`, and what tests of fetching do with them."""

import gzip
import hashlib
import os
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from httpserver import Server

from mnistprep import _http, catalog
from mnistprep.catalog import Content, IdxFile, Published
from mnistprep.dataset import idx_header

REPOSITORY = Path(__file__).parent.parent
NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
FIRST = NAMES[0] + ".gz"
CERTIFICATE = Path(__file__).with_name("localhost.pem")


def idx_files(seed: int) -> dict[str, bytes]:
    """Four IDX files: 90 and 30 pictures of 20x16, three classes."""
    chance = random.Random(seed)
    files = {}
    for prefix, count in (("train", 90), ("t10k", 30)):
        pixels = chance.randbytes(count * 20 * 16)
        files[f"{prefix}-images-idx3-ubyte"] = idx_header(8, (count, 20, 16)) + pixels
        labels = bytes(chance.randrange(3) for _ in range(count))
        files[f"{prefix}-labels-idx1-ubyte"] = idx_header(8, (count,)) + labels
    return files


def row_of(
    name: str, files: dict[str, bytes], mirrors: tuple[str, ...], algorithm: str
) -> Published:
    """A catalog row of these files, of which only sums of that algorithm are known."""

    def content(file: str, body: bytes) -> Content:
        return Content(file, len(body), **{algorithm: hashlib.new(algorithm, body).hexdigest()})

    rows = []
    for file, body in files.items():
        split = "train" if file.startswith("train") else "test"
        role = "images" if "images" in file else "labels"
        packed = content(f"{file}.gz", gzip.compress(body, mtime=0))
        rows.append(IdxFile(split, role, content(file, body), packed))
    return Published(
        name=name,
        title=name.upper(),
        about="",
        homepage="",
        licence="",
        licence_note="",
        citation="",
        classes=("a", "b", "c"),
        shape=(20, 16),
        splits={"train": 90, "test": 30},
        class_counts={},
        mean=None,
        std=None,
        mirrors=mirrors,
        files=tuple(rows),
    )


TINY = idx_files(1)
OTHER = idx_files(2)
BODY = gzip.compress(TINY[NAMES[0]], mtime=0)


def isolated(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """An empty cache below `folder`, no settings from outside, short waits; returns the cache."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("MNISTPREP_", "XDG_")):
            monkeypatch.delenv(name)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MNISTPREP_HOME", str(folder / "cache"))
    monkeypatch.setattr(_http, "CONNECT_SECONDS", 0.4)
    monkeypatch.setattr(_http, "READ_SECONDS", 0.3)
    monkeypatch.setattr(_http, "BACK_OFF", 0.01)
    return folder / "cache"


def fill(server: Server, folder: str, files: dict[str, bytes]) -> None:
    """Put compressed files on a server."""
    for name, body in files.items():
        server.files[f"{folder}{name}.gz"] = gzip.compress(body, mtime=0)


def publish(
    monkeypatch: pytest.MonkeyPatch, mirrors: tuple[str, ...], algorithm: str = "sha256"
) -> Published:
    """Put `tiny` with these mirrors, and `other` with none, into the catalog."""
    row = row_of("tiny", TINY, mirrors, algorithm)
    monkeypatch.setitem(catalog.DATASETS, "tiny", row)
    monkeypatch.setitem(catalog.DATASETS, "other", row_of("other", OTHER, (), algorithm))
    return row


def assert_fetched(folder: Path) -> None:
    """The folder holds the four files, right to the last byte, and nothing else."""
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == TINY


def assert_nothing(cache: Path, *names: str) -> None:
    """Nothing wrong is under a final name: at most the files named, all right."""
    folder = cache / "tiny"
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    assert found <= set(names)
    assert all((folder / name).read_bytes() == TINY[name] for name in found)


def keras_npz(path: Path, files: dict[str, bytes]) -> bytes:
    """A Keras npz with the pictures of IDX files, made by NumPy."""
    arrays = {}
    for key, prefix, count in (("train", "train", 90), ("test", "t10k", 30)):
        pixels = np.frombuffer(files[f"{prefix}-images-idx3-ubyte"], np.uint8, offset=16)
        arrays[f"x_{key}"] = pixels.reshape(count, 20, 16)
        arrays[f"y_{key}"] = np.frombuffer(files[f"{prefix}-labels-idx1-ubyte"], np.uint8, offset=8)
    np.savez_compressed(path, **arrays)
    return path.read_bytes()


def in_new_process(
    row: Published, folder: Path, code: str, *arguments: str, **environment: str
) -> subprocess.Popen[str]:
    """Run `code` in a new interpreter whose catalog has `row`."""
    (folder / "row").write_bytes(pickle.dumps(row))
    prelude = (
        "import pickle, sys; from mnistprep import catalog; from mnistprep.download import fetch; "
        "row = pickle.load(open(sys.argv[1], 'rb')); catalog.DATASETS[row.name] = row; "
    )
    return subprocess.Popen(
        [sys.executable, "-c", prelude + code, str(folder / "row"), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
    )


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does, ten seconds at most."""
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")

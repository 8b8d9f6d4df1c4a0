"""What is fuzzed: every reader of bytes that somebody else wrote, with small valid inputs of each.

A reader gets a path and gives something that two readings of one input must agree on.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin

import numpy as np
import requests
from PIL import Image

import mnistprep
from mnistprep import Dataset, Split, _http_headers, drawings, formats, labels
from mnistprep._streams import Inflater
from mnistprep.errors import MnistprepError
from mnistprep.formats import _pickle
from mnistprep.training import fit, load_checkpoint, save_checkpoint
from reliability.fuzz_layers import Tree
from reliability.fuzz_tokens import tokens

GOLDEN = Path(__file__).parent.parent / "golden"
LONGEST = 24 << 10  # bytes of an input
_BY_CONTENT = 8  # one of so many inputs is read without naming the format


@dataclass(frozen=True)
class Reader:
    """How inputs of a kind are read, made, and changed.

    read: gives what two readings must agree on. seeds: writes valid ones to a folder and gives
    them. tokens: what a dictionary of the fuzzer holds. changes: what the names of the files that
    are changed end in; "" for all.
    """

    read: Callable[[Path, int], object]
    seeds: Callable[[Path], Iterator[Tree]]
    tokens: tuple[bytes, ...]
    changes: tuple[str, ...] = ("",)
    longest: int = LONGEST


def _dataset(path: Path, name: str | None) -> object:
    dataset = mnistprep.read(path, name, workers=1)
    return dataset.digests(), dataset.classes, dataset.shape


def _small(kind: str) -> Dataset:
    chance = np.random.default_rng(5)

    def split(count: int, shape: tuple[int, ...], classes: int) -> Split:
        images = chance.integers(0, 256, (count, *shape), dtype=np.uint8)
        return Split(images, np.arange(count) % classes)

    if kind == "plain":
        return Dataset(
            "x", {"train": split(4, (4, 4), 3), "test": split(3, (4, 4), 3)}, tuple("012")
        )
    if kind == "named":
        parts = {name: split(3, (3, 4), 2) for name in ("train", "valid", "test")}
        return Dataset("x", parts, ("cat é", "dog"))
    if kind == "colour":
        return Dataset("x", {"train": split(3, (2, 3, 3), 3)}, ("a", "b", "c"))
    return Dataset("x", {"test": split(3, (5, 5), 2)}, tuple("01"))


KINDS = ("plain", "named", "colour", "test")


def tree(path: Path, flags: int = 0) -> Tree:
    """What is at a path."""
    if path.is_file():
        return Tree(path.name, ((path.name, path.read_bytes()),), flags=flags)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    inside = tuple((str(file.relative_to(path)), file.read_bytes()) for file in files)
    return Tree(path.name, inside, True, flags)


def _written(name: str, folder: Path, kinds: tuple[str, ...] = KINDS) -> Iterator[Path]:
    """Small datasets as the package writes them, with every option that is a choice of words."""
    choices: list[dict[str, object]] = [{}]
    for key, option in formats.options(name).items():
        kind = option.annotation
        if get_origin(kind) is Literal:
            choices += [{key: value} for value in get_args(kind) if value != option.default]
        elif kind is bool:
            choices.append({key: not option.default})
    for number, options in enumerate(choices):
        for kind in kinds if not number else kinds[:2]:
            path = folder / f"{name}{number}{kind}" / formats.default_output(name, "x")
            try:
                mnistprep.write(
                    _small(kind), path, name, workers=1, provenance=kind != "plain", **options
                )
            except MnistprepError:
                if not options:
                    continue
                try:
                    path = path.with_name("x_folder")
                    mnistprep.write(_small(kind), path, name, workers=1, **options)
                except MnistprepError:
                    continue
            yield path


_GOLDEN = {
    "idx": ("idx", "qmnist"),
    "idx-gz": ("idx-gz",),
    "pkl": ("pickles/*.pkl",),
    "imagefolder": ("imagefolder", "trees/flat.zip", "trees/heap", "trees/mnist_png.tar.gz"),
    "csv": ("csv/*.csv", "csv-wild/*"),
    "npz": ("*.npz",),
    "pt": ("*.pt",),
    "safetensors": ("*.safetensors",),
    "parquet": ("parquet", "parquet/data/*", "*.parquet"),
    "arrow": ("arrow", "*.arrow", "arrow/*/*.arrow"),
    "webdataset": ("webdataset", "webdataset/*"),
    "tfrecord": ("tfrecord/raw", "tfrecord/slim", "tfrecord/tfds/digits/1.0.0"),
    "hdf5": ("hdf5/*",),
    "mat": ("mat/*.mat",),
    "arff": ("arff/*.arff",),
    "libsvm": ("libsvm/*", "libsvm/mnist/*"),
}


def golden(name: str) -> Iterator[Path]:
    """The files of other tools that a format reads."""
    for pattern in _GOLDEN[name]:
        yield from sorted(GOLDEN.glob(pattern))


def _seeds(name: str) -> Callable[[Path], Iterator[Tree]]:
    def seeds(folder: Path) -> Iterator[Tree]:
        for number, path in enumerate((*_written(name, folder), *golden(name))):
            yield tree(path, number % _BY_CONTENT)

    return seeds


def _named(name: str) -> Callable[[Path, int], object]:
    def read(path: Path, flags: int) -> object:
        return _dataset(path, None if flags % _BY_CONTENT == 1 else name)

    return read


def _format(name: str, *kinds: str) -> Reader:
    return Reader(_named(name), _seeds(name), tokens(*kinds))


def _by_content(path: Path, flags: int) -> object:
    return _dataset(path, None)


def _packed(folder: Path) -> Iterator[Tree]:
    """A dataset of each simple form in each kind of archive."""
    for name in ("idx", "csv", "npz", "imagefolder", "libsvm"):
        mnistprep.write(_small("plain"), folder / name, name, workers=1, provenance=False)
        whole = tree(folder / name)
        for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", kind) as archive:
                for inner, data in whole.files:
                    archive.writestr(zipfile.ZipInfo(f"top/{inner}"), data, kind)
            yield _single("x.zip", out.getvalue())
        for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w", format=form) as packed:
                for inner, data in whole.files:
                    long = f"{'é' * 70}/{inner}" if form != tarfile.USTAR_FORMAT else inner
                    member = tarfile.TarInfo(long)
                    member.size = len(data)
                    packed.addfile(member, io.BytesIO(data))
            data = out.getvalue().rstrip(b"\0") + bytes(1024)
            yield _single("x.tar", data + bytes(-len(data) % 512))
            for ending, pack in (
                ("gz", gzip.compress),
                ("bz2", bz2.compress),
                ("xz", lzma.compress),
            ):
                yield _single(f"x.tar.{ending}", pack(data))
        first = whole.files[0][1]
        if len(whole.files) > 2:  # one of them alone is no dataset
            continue
        yield _single(f"{name}.gz", gzip.compress(first, mtime=0))
        yield _single(f"{name}.xz", lzma.compress(first))


def _single(name: str, data: bytes) -> Tree:
    return Tree(name, ((name, data),))


def _pickles(path: Path, flags: int) -> object:
    with Inflater(path) as stream:
        _pickle.load(stream)
    return None


def _checkpoint(path: Path, flags: int) -> object:
    trained = load_checkpoint(path, device="cpu")
    return trained.recipe.name, trained.shape, trained.classes, trained.seed, trained.epoch


def _checkpoints(folder: Path) -> Iterator[Tree]:
    data = _small("named").splits["train"]
    for recipe in ("numpy", "mlp"):
        trained = fit(data, classes=("cat é", "dog"), recipe=recipe, epochs=1, device="cpu")
        path = folder / f"{recipe}.{'npz' if recipe == 'numpy' else 'pt'}"
        save_checkpoint(trained, path)
        yield tree(path)


_FOLDERS = ("imagefolder", "hdf5", "csv", "libsvm", "webdataset", "tfrecord")


def _with_sidecar(path: Path, flags: int) -> object:
    return _dataset(path, (*_FOLDERS, None)[flags % 7])


def _sidecars(folder: Path) -> Iterator[Tree]:
    for number, name in enumerate(_FOLDERS):
        for path in _written(name, folder, ("named",)):
            if path.is_dir():
                yield tree(path, number)


def _labelled(folder: Path) -> Iterator[Tree]:
    """Loose pictures with a file that says their labels, in every form of one."""
    pictures = [(f"{k}.png", _picture("PNG", "L", k)) for k in range(3)]
    table = [(f"{k}.png", k % 2) for k in range(3)]
    texts = {
        "labels.csv": "filename,label\n" + "".join(f"{n},{c}\n" for n, c in table),
        "train.csv": "id,split,label\n" + "".join(f"{n},train,{c}\n" for n, c in table),
        "labels.txt": "".join(f"{n} {c}\n" for n, c in table),
        "train.txt": "0\n1\n0\n",
        "labels.tsv": "".join(f'"{n}"\t{c}\n' for n, c in table),
        "labels.json": json.dumps(dict(table)),
        "annotations.json": json.dumps([{"file": n, "label": str(c)} for n, c in table]),
        "metadata.jsonl": "".join(f'{{"file_name": "{n}", "label": {c}}}\n' for n, c in table),
    }  # fmt: skip
    for name, text in texts.items():
        yield Tree("x", (*pictures, (name, text.encode())), True)
    yield tree(GOLDEN / "trees" / "heap")


_LABEL_FILES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet")
_MODES = {"PNG": ("L", "RGB", "RGBA", "P", "1", "LA", "I;16"), "JPEG": ("L", "RGB", "CMYK"),
          "BMP": ("L", "RGB", "1"), "GIF": ("L", "P"), "TIFF": ("L", "RGB", "I;16", "F"),
          "WEBP": ("RGB", "RGBA"), "PPM": ("L", "RGB"), "ICO": ("RGBA",),
          "TGA": ("L",)}  # fmt: skip


def _picture(kind: str, mode: str, seed: int = 1) -> bytes:
    pixels = np.zeros((28, 28), np.uint8)
    pixels[6:22, 12 + seed % 3 : 15 + seed % 3] = 255
    picture = Image.fromarray(pixels)
    picture = Image.fromarray(pixels.astype(np.uint16) * 257) if mode == "I;16" else picture
    out = io.BytesIO()
    (picture if mode == "I;16" else picture.convert(mode)).save(out, kind)
    return out.getvalue()


def _pictures(folder: Path) -> Iterator[Tree]:
    for kind, modes in _MODES.items():
        for mode in modes:
            name = f"x.{kind.lower()}"
            # Pillow makes an icon smaller.
            yield Tree(name, ((name, _picture(kind, mode)),), flags=1 if kind == "ICO" else 0)


def _seen(path: Path, flags: int) -> object:
    picture = drawings.open_picture(path)
    if flags % _BY_CONTENT == 1:  # the others would take long
        found = drawings.as_digit(picture)
    else:
        found = drawings.as_is(picture, (28, 28))
    return hashlib.sha256(found.tobytes()).hexdigest()


def _answer(path: Path, flags: int) -> object:
    answer = requests.Response()
    for line in path.read_bytes().decode("latin1").split("\n"):
        name, _, value = line.partition(": ")
        answer.headers[name] = value
    found = _http_headers.content_range(answer), _http_headers.expected_size(answer, 5)
    wait = _http_headers.retry_after(answer)
    assert wait is None or wait >= 0
    return found, _http_headers.validator(answer), _http_headers.status(len(answer.headers))


def _answers(folder: Path) -> Iterator[Tree]:
    for text in (
        'Content-Range: bytes 5-99/100\nContent-Length: 95\nETag: "abc"\nRetry-After: 3',
        'Content-Range: bytes 0-1/*\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\nETag: W/"a"',
        "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\nContent-Length: 10",
        "Retry-After: Fri, 31 Dec 9999 23:59:59 -2359",
    ):
        yield _single("headers", text.encode())


def _tables(path: Path, flags: int) -> object:
    found = labels.read_tables(path)
    return {name: (table.shape, table.tobytes()) for name, table in found.items()}


def _label_tables(folder: Path) -> Iterator[Tree]:
    for path in (GOLDEN / "qmnist", GOLDEN / "idx", GOLDEN / "idx-gz"):
        yield tree(path)


READERS: dict[str, Reader] = {
    "idx": _format("idx", "idx", "sizes"),
    "idx-gz": _format("idx-gz", "idx", "sizes"),
    "pkl": _format("pkl", "opcodes"),
    "imagefolder": _format("imagefolder", "pictures", "sides", "json"),
    "csv": _format("csv", "csv", "numbers"),
    "npz": _format("npz", "npy", "zip", "sizes"),
    "pt": _format("pt", "opcodes", "torch", "zip"),
    "safetensors": _format("safetensors", "safetensors", "json", "sizes"),
    "parquet": _format("parquet", "tables", "json"),
    "arrow": _format("arrow", "tables", "json", "sizes"),
    "webdataset": _format("webdataset", "tar", "records", "numbers"),
    "tfrecord": _format("tfrecord", "records", "sides", "json"),
    "hdf5": _format("hdf5", "hdf5", "sizes"),
    "mat": _format("mat", "mat", "hdf5", "sizes"),
    "arff": _format("arff", "arff", "numbers"),
    "libsvm": _format("libsvm", "libsvm", "numbers"),
    "archives": Reader(_by_content, _packed, tokens("zip", "tar")),
    "pickles": Reader(_pickles, _seeds("pkl"), tokens("opcodes")),
    "checkpoints": Reader(
        _checkpoint, _checkpoints, tokens("opcodes", "torch", "npy", "json"), longest=64 << 10
    ),
    "sidecars": Reader(_with_sidecar, _sidecars, tokens("sides", "json"), (".json", ".txt")),
    "label-files": Reader(
        _named("imagefolder"), _labelled, tokens("labels", "csv", "json"), _LABEL_FILES
    ),
    "label-tables": Reader(_tables, _label_tables, tokens("idx", "sizes")),
    "pictures": Reader(_seen, _pictures, tokens("pictures", "sizes")),
    "http-headers": Reader(_answer, _answers, tokens("http")),
}

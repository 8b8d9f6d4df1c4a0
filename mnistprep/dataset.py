"""What everything else passes around: Split and Dataset, and the digests that name them."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedRandom, BytesIO
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images, empty_images, empty_labels, release
from mnistprep._numbers import whole
from mnistprep._temporary import temporary_file
from mnistprep.errors import DataError

Labels = npt.NDArray[np.int64]

SPLITS = ("train", "valid", "test")
CHUNK = 8192  # examples in a step: 6 MB of 28x28 pictures
_HASHED = 1024  # examples that are looked at, or copied, together to be hashed
_SORTED = 1 << 14  # hashes sorted at once: 512 kB ...
_FILES = 256  # ... except beyond so many times that, since few more files can be open
_KEPT = 1 << 17  # hashes that are kept in memory: 4 MB
_LABELS = 1 << 16  # labels in a step
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Split:
    """Pictures and their labels.

    images: uint8, (N, H, W) or (N, H, W, C), C-contiguous, read-only, 0 = background. One channel
        is grey: (N, H, W, 1) becomes (N, H, W).
    labels: int64, (N,), 0 <= label; other integer types are converted.
    Raises DataError for anything else. Arrays may be memory maps, and are never copied when they
    have this form already; walk them with `chunks`.
    """

    images: Images
    labels: Labels

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
            raise DataError(f"images must be a uint8 array, not {_describe(images)}")
        if images.ndim not in (3, 4):
            raise DataError(f"images must be (N, H, W) or (N, H, W, C), not {images.shape}")
        if 0 in images.shape[1:]:
            raise DataError(f"pictures need a height, width and depth, not {images.shape[1:]}")
        if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
            raise DataError(f"labels must be an integer array, not {_describe(labels)}")
        if labels.shape != images.shape[:1]:
            raise DataError(f"{len(images)} pictures need as many labels, not {labels.shape}")
        least, top = _extremes(labels)
        if least < 0:
            raise DataError(f"labels must be 0 or more, not {least}")
        if top > 2**31 - 1:
            raise DataError(f"labels must be below 2**31, not {top}")
        if images.shape[3:] == (1,):
            images = images[..., 0]
        object.__setattr__(self, "images", _read_only(np.ascontiguousarray(images)))
        object.__setattr__(self, "labels", _read_only(_as_int64(labels)))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one picture: (H, W) or (H, W, C)."""
        return self.images.shape[1:]

    def chunks(self, size: int = CHUNK) -> Iterator[tuple[Images, Labels]]:
        """Yield consecutive (images, labels) of at most `size` examples.

        Pages of a memory map are given back after each step, so that a walk over a set of any
        size needs the memory of one step. Raises UsageError for a size below 1.
        """
        size = whole("size", size, 1)
        for start in range(0, len(self), size):
            images, labels = self.images[start : start + size], self.labels[start : start + size]
            yield images, labels
            release(images)
            release(labels)

    def take(self, indices: npt.NDArray[np.intp]) -> Split:
        """The examples at `indices`, integers (K,), in that order, as a new split.

        Negative ones count from the end. Raises DataError for other arrays, and beyond the ends.
        """
        indices = np.asarray(indices)
        if indices.dtype == bool:
            raise DataError("indices must be integers; np.flatnonzero gives those of a mask")
        if indices.ndim != 1 or (len(indices) and indices.dtype.kind not in "iu"):
            raise DataError(f"indices must be an integer array (K,), not {_describe(indices)}")
        indices = indices.astype(np.intp, copy=False)
        if len(indices) and not -len(self) <= indices.min() <= indices.max() < len(self):
            outside = indices[(indices < -len(self)) | (indices >= len(self))][0]
            raise DataError(f"index {outside} is outside a split of {len(self):,} examples")
        images = empty_images((len(indices), *self.shape))
        for start in range(0, len(indices), CHUNK):
            part = indices[start : start + CHUNK]
            images[start : start + len(part)] = self.images[part]
            release(self.images)
            release(images[start : start + len(part)])
        return Split(images, self.labels[indices])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Named splits of pictures of one shape, with the names of their classes in label order.

    name: what messages and default file names call it.
    splits: a mapping from `train`, `valid` and `test` (any of them) to Split; kept in that order.
    classes: distinct names; every label is below their number.
    Raises DataError when the parts do not fit together.
    """

    name: str
    splits: Mapping[str, Split]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise DataError(f"the name of a dataset is text, not {_describe(self.name)}")
        if not isinstance(self.splits, Mapping):
            raise DataError(f"splits are a mapping, not {_describe(self.splits)}")
        unknown = [name for name in self.splits if name not in SPLITS]
        if unknown or not self.splits:
            raise DataError(f"splits are named train, valid and test, not {unknown or 'nothing'}")
        for name, split in self.splits.items():
            if not isinstance(split, Split):
                raise DataError(f"{name} must be a Split, not {_describe(split)}")
        if not isinstance(self.classes, Iterable):
            raise DataError(f"classes are names in label order, not {_describe(self.classes)}")
        classes = tuple(self.classes)
        for name in classes:
            if not isinstance(name, str) or any("\ud800" <= letter <= "\udfff" for letter in name):
                raise DataError(f"class names are text, not {name!r}")
        if len(set(classes)) != len(classes):
            raise DataError("two classes have the same name")
        shapes = {split.shape for split in self.splits.values()}
        if len(shapes) > 1:
            raise DataError(f"all pictures must have one shape, not {sorted(shapes)}")
        for name, split in self.splits.items():
            if top_label(split.labels) >= len(classes):
                at = int(split.labels.argmax())
                raise DataError(
                    f"label {split.labels[at]} of {name}[{at}] is outside {len(classes)} classes"
                )
        ordered = {name: self.splits[name] for name in SPLITS if name in self.splits}
        object.__setattr__(self, "splits", MappingProxyType(ordered))
        object.__setattr__(self, "classes", classes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one picture: (H, W) or (H, W, C)."""
        return next(iter(self.splits.values())).shape

    def __len__(self) -> int:
        return sum(len(split) for split in self.splits.values())

    def joined(self) -> Dataset:
        """The same examples with `valid` put back at the end of `train`; copies nothing else."""
        if "valid" not in self.splits:
            return self
        splits = {name: self.whole(name) for name in ("train", "test") if self.parts(name)}
        return Dataset(self.name, splits, self.classes)

    def parts(self, name: str) -> list[Split]:
        """The splits that `train` (train, then valid) or `test` is made of; none where absent."""
        names = ("train", "valid") if name == "train" else (name,)
        return [self.splits[part] for part in names if part in self.splits]

    def whole(self, name: str) -> Split:
        """`train` (followed by valid) or `test` as one split; copies only to join two.

        Raises DataError where there is no such split.
        """
        parts = self.parts(name)
        if not parts:
            raise DataError(f"{self.name} has no {name} split, only {', '.join(self.splits)}")
        return parts[0] if len(parts) == 1 else concatenate(parts)

    def digests(self) -> dict[str, Digest]:
        """The Digest of `train` (train followed by valid) and of `test`, where they are there."""
        return {
            name: digest(parts, len(self.classes))
            for name in ("train", "test")
            if (parts := self.parts(name))
        }


@dataclass(frozen=True)
class Digest:
    """What names a split's content, whatever form it is stored in.

    images, labels: SHA-256 of the IDX image and label file that the split would be written to;
    `sha256sum` of uncompressed IDX files prints the same.
    unordered: SHA-256 over the sorted SHA-256 of every example, which does not depend on order;
    an example is its sizes (uint32 each), its pixels and its label (uint32), big-endian.
    """

    images: str
    labels: str
    unordered: str


def digest(parts: Iterable[Split], classes: int) -> Digest:
    """Digest of `parts` taken as one split, for a dataset with that many classes."""
    splits = list(parts)
    images, labels = idx_hashes(splits, classes, "sha256")
    return Digest(images, labels, _unordered(splits))


def idx_hashes(splits: list[Split], classes: int, algorithm: str) -> tuple[str, str]:
    """Hex digests, under any hashlib algorithm, of the IDX image and label files of `splits`."""
    count = sum(len(split) for split in splits)
    label_type = idx_label_type(classes)
    images = hashlib.new(algorithm, idx_header(0x08, (count, *splits[0].shape)))
    labels = hashlib.new(algorithm, idx_header(0x08 if label_type == "u1" else 0x0C, (count,)))
    for split in splits:
        for pictures, numbers in split.chunks(_HASHED):
            images.update(pictures.data)
            labels.update(numbers.astype(label_type).data)
    return images.hexdigest(), labels.hexdigest()


def idx_header(code: int, sizes: tuple[int, ...]) -> bytes:
    """Header of an IDX file: two zero bytes, type, number of dimensions, sizes as uint32 BE."""
    if max(sizes) > 0xFFFFFFFF:
        raise DataError(f"IDX sizes end at 2**32 - 1: {sizes}")
    return struct.pack(f">BBBB{len(sizes)}I", 0, 0, code, len(sizes), *sizes)


def idx_label_type(classes: int) -> str:
    """dtype of labels in IDX: unsigned bytes up to 256 classes, else big-endian int32."""
    return "u1" if classes <= 256 else ">i4"


def example_hashes(split: Split) -> npt.NDArray[np.bytes_]:
    """SHA-256 of every example as the order-free digest defines it; (N,) of 32 bytes."""
    parts = [_hashes(images, labels) for images, labels in split.chunks(_HASHED)]
    return np.frombuffer(b"".join(parts), "S32")


def _hashes(images: Images, labels: Labels) -> bytes:
    return picture_hashes(images, labels.astype(">u4").view(np.uint8).reshape(-1, 4))


def picture_hashes(images: Images, tails: npt.NDArray[np.uint8] | None = None) -> bytes:
    """The SHA-256 of sizes (uint32 big-endian each), pixels and tail of each, 32 bytes a picture.

    images: (N, H, W) or (N, H, W, C); they are copied, so take thousands, not all. tails: (N, any).
    """
    heads = np.frombuffer(struct.pack(f">{images.ndim - 1}I", *images.shape[1:]), np.uint8)
    rows = [
        np.broadcast_to(heads, (len(images), len(heads))),
        images.reshape(len(images), math.prod(images.shape[1:])),
    ]
    examples = np.concatenate(rows if tails is None else [*rows, tails], axis=1)
    sha256, data, width = hashlib.sha256, examples.reshape(-1).data, examples.shape[1]
    return b"".join([sha256(data[k : k + width]).digest() for k in range(0, len(data), width)])


def _unordered(splits: list[Split]) -> str:
    """SHA-256 over the sorted hashes of the examples.

    They are sorted by parts, each of the hashes that begin alike and small enough for memory.
    """
    total = sum(map(len, splits))
    count = min(max(1, -(-total // _SORTED)), _FILES)
    with ExitStack() as files:
        parts: list[BufferedRandom | BytesIO] = [
            files.enter_context(temporary_file("for hashes")) if total > _KEPT else BytesIO()
            for _ in range(count)
        ]
        for split in splits:
            for images, labels in split.chunks(_HASHED):
                hashes = np.frombuffer(_hashes(images, labels), "S32")
                first = hashes.view(">u4")[::8].astype(np.uint64)
                which = first * np.uint64(count) >> np.uint64(32)
                order = np.argsort(which)
                ends = np.searchsorted(which, np.arange(count + 1), sorter=order).tolist()
                for k, part in enumerate(parts):
                    part.write(hashes[order[ends[k] : ends[k + 1]]].data)
        whole = hashlib.sha256()
        for part in parts:
            values = np.empty(part.tell() // 32, "S32")
            part.seek(0)
            part.readinto(values.data)
            values.sort()  # a fixed-width byte string compares on all its bytes
            whole.update(values.data)
        return whole.hexdigest()


def concatenate(splits: list[Split]) -> Split:
    """One split of the examples of all `splits`, in order; needs pictures of one shape."""
    images = empty_images((sum(len(split) for split in splits), *splits[0].shape))
    at = 0
    for split in splits:
        for pictures, _ in split.chunks():
            images[at : at + len(pictures)] = pictures
            release(images[at : at + len(pictures)])
            at += len(pictures)
    return Split(images, np.concatenate([split.labels for split in splits]))


def default_classes(labels: Iterable[Labels]) -> tuple[str, ...]:
    """The label numbers as names, for forms that keep no names: "0" up to the largest label."""
    top = max(map(top_label, labels), default=-1)
    return tuple(str(label) for label in range(top + 1))


def top_label(labels: npt.NDArray[np.integer[Any]]) -> int:
    """The largest label; -1 where there is none."""
    return _extremes(labels)[1]


def class_counts(split: Split, classes: int) -> npt.NDArray[np.intp]:
    """The number of examples of each class, (classes,)."""
    counts = np.zeros(classes, np.intp)
    for labels in _steps(split.labels):
        counts += np.bincount(labels, minlength=classes)
    return counts


def _extremes(labels: npt.NDArray[np.integer[Any]]) -> tuple[int, int]:
    """The least and the largest label; 0 and -1 where there is none."""
    found = [(int(part.min()), int(part.max())) for part in _steps(labels)]
    return min((low for low, _ in found), default=0), max((high for _, high in found), default=-1)


def _as_int64(labels: npt.NDArray[np.integer[Any]]) -> Labels:
    if labels.dtype == np.int64 and labels.flags.c_contiguous:
        return labels.astype(np.int64, copy=False)
    found, at = empty_labels(len(labels)), 0
    for part in _steps(labels):
        found[at : at + len(part)] = part
        release(found[at : at + len(part)])
        at += len(part)
    return found


def _steps(labels: npt.NDArray[T]) -> Iterator[npt.NDArray[T]]:
    """The labels in parts that fit any memory, as pictures are walked."""
    for start in range(0, len(labels), _LABELS):
        part = labels[start : start + _LABELS]
        yield part
        release(part)


def _read_only(array: npt.NDArray[T]) -> npt.NDArray[T]:
    view = array.view(np.ndarray)
    view.flags.writeable = False
    return view


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return type(value).__name__

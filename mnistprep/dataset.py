"""What everything else passes around: Split and Dataset, and the digests that name them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images, empty_images, release
from mnistprep.errors import DataError

Labels = npt.NDArray[np.int64]

SPLITS = ("train", "valid", "test")
CHUNK = 8192  # examples in a step: 6 MB of 28x28 pictures


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
        if len(labels) and labels.min() < 0:
            raise DataError(f"labels must be 0 or more, not {labels.min()}")
        if len(labels) and labels.max() > 2**31 - 1:
            raise DataError(f"labels must be below 2**31, not {labels.max()}")
        if images.shape[3:] == (1,):
            images = images[..., 0]
        object.__setattr__(self, "images", _read_only(images, np.uint8))
        object.__setattr__(self, "labels", _read_only(labels, np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one picture: (H, W) or (H, W, C)."""
        return self.images.shape[1:]

    def chunks(self, size: int = CHUNK) -> Iterator[tuple[Images, Labels]]:
        """Yield consecutive (images, labels) of at most `size` examples.

        Pages of a memory map are given back after each step, so that a walk over a set of any
        size needs the memory of one step.
        """
        for start in range(0, len(self), size):
            yield self.images[start : start + size], self.labels[start : start + size]
            release(self.images[start : start + size])

    def take(self, indices: npt.NDArray[np.intp]) -> Split:
        """The examples at `indices`, in that order, as a new split."""
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
        unknown = [name for name in self.splits if name not in SPLITS]
        if unknown or not self.splits:
            raise DataError(f"splits are named train, valid and test, not {unknown or 'nothing'}")
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
            if len(split) and split.labels.max() >= len(classes):
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
        """`train` (followed by valid) or `test` as one split; copies only to join two."""
        parts = self.parts(name)
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
        for pictures, numbers in split.chunks():
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
    sizes = struct.pack(f">{len(split.shape)}I", *split.shape)
    hashes = bytearray()
    sha256 = hashlib.sha256
    width = int(np.prod(split.shape))
    for pictures, numbers in split.chunks():
        data = memoryview(pictures.tobytes())
        tails = numbers.astype(">u4").tobytes()
        for k in range(len(numbers)):
            example = sha256(sizes)
            example.update(data[k * width : (k + 1) * width])
            example.update(tails[4 * k : 4 * k + 4])
            hashes += example.digest()
    return np.frombuffer(bytes(hashes), "S32")


def _unordered(splits: list[Split]) -> str:
    # A fixed-width byte string compares on all its bytes, so NumPy sorts hashes as they are.
    hashes = np.sort(np.concatenate([example_hashes(split) for split in splits]))
    return hashlib.sha256(hashes.tobytes()).hexdigest()


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
    top = max((int(part.max()) for part in labels if len(part)), default=-1)
    return tuple(str(label) for label in range(top + 1))


def _read_only(array: npt.NDArray[np.generic], dtype: type) -> npt.NDArray[np.generic]:
    view = np.ascontiguousarray(array, dtype=dtype).view(np.ndarray)
    view.flags.writeable = False
    return view


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return type(value).__name__

"""The shape of a catalog row: what there is to say about a published dataset and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mnistprep.dataset import Digest


@dataclass(frozen=True)
class Content:
    """Bytes that somebody published: file name, size in bytes, hex digests; None where unknown."""

    name: str
    size: int | None = None
    md5: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class IdxFile:
    """One of the IDX files of a dataset.

    role: `images` or `labels`. plain: the uncompressed file, its size and a digest always known;
    packed: the compressed file as published, whose name is what mirrors serve.
    """

    split: str
    role: str
    plain: Content
    packed: Content


@dataclass(frozen=True)
class WholeFile:
    """One file that holds all splits in another form; any form that mnistprep reads."""

    content: Content
    urls: tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """A dataset: what it is, how it is cited, where its files are, and the digests that prove it.

    shape: of one picture. splits: examples per split. class_counts: examples per class, in label
    order, per split. mean, std: of the training pixels scaled to [0, 1].
    mirrors: base URLs that serve every `packed` file. digests: per split, where the SHA-256 sums
    are known. earlier: files of a withdrawn release, kept to name them, never accepted.
    least_accuracy: share of the test split that the `fast` recipe must get right in a verification.
    """

    name: str
    title: str
    about: str
    homepage: str
    licence: str
    licence_note: str
    citation: str
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    splits: Mapping[str, int]
    class_counts: Mapping[str, tuple[int, ...]]
    mean: float
    std: float
    mirrors: tuple[str, ...] = ()
    files: tuple[IdxFile, ...] = ()
    whole: tuple[WholeFile, ...] = ()
    digests: Mapping[str, Digest] = field(default_factory=dict)
    earlier: tuple[Content, ...] = ()
    least_accuracy: float = 0.98

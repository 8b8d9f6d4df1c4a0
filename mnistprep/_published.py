"""The shape of a catalog row: what there is to say about a published dataset and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mnistprep._stored import STORED, Stored
from mnistprep.dataset import Digest


@dataclass(frozen=True)
class Content:
    """Bytes that somebody published: file name, size in bytes, hex digests; None where unknown."""

    name: str
    size: int | None = None
    md5: str | None = None
    sha256: str | None = None

    @property
    def known(self) -> bool:
        """Whether a digest can prove the bytes."""
        return bool(self.sha256 or self.md5)


@dataclass(frozen=True)
class IdxFile:
    """One of the files of a dataset; IDX, unless the row says that they are of another format.

    role: `images` or `labels`. plain: the uncompressed file and its size; packed: the file as
    published, whose name is what mirrors serve. A digest of one of them is always known.
    member: its path in the row's archive, where it is published in one.
    """

    split: str
    role: str
    plain: Content
    packed: Content
    member: str = ""

    @property
    def kept(self) -> Content:
        """The form that is kept in the cache: uncompressed, where that can be proven."""
        return self.plain if self.plain.known else self.packed


@dataclass(frozen=True)
class WholeFile:
    """One file that holds all splits in another form; any form that mnistprep reads."""

    content: Content
    urls: tuple[str, ...]


@dataclass(frozen=True)
class Archive:
    """A zip that holds the files of a row, and mostly those of others too."""

    content: Content
    urls: tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """A dataset: what it is, how it is cited, where its files are, and the digests that prove it.

    shape: of one picture. splits: examples per split. class_counts: examples per class, in label
    order, per split; {} where they are not known. mean, std: of the training pixels scaled to
    [0, 1]; None where they are not known.
    mirrors: base URLs that serve every `packed` file. digests: per split, where the SHA-256 sums
    are known. earlier: files of a withdrawn release, kept to name them, never accepted.
    least_accuracy: share of the test split that the `fast` recipe must get right in a verification.
    form: the format of the files. archive: what holds them, where they are published in one.
    folder: the row whose files it shares, where that is another. slices: first and last example
    of the file's split, where this row has a part of them. by_hand: what to do where there is no
    download. How the content of files differs from a Dataset's is in `_stored`, under the name.
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
    class_counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    mean: float | None = None
    std: float | None = None
    mirrors: tuple[str, ...] = ()
    files: tuple[IdxFile, ...] = ()
    whole: tuple[WholeFile, ...] = ()
    digests: Mapping[str, Digest] = field(default_factory=dict)
    earlier: tuple[Content, ...] = ()
    least_accuracy: float = 0.98
    form: str = "idx"
    archive: Archive | None = None
    folder: str = ""
    slices: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    by_hand: str = ""

    @property
    def identifiable(self) -> bool:
        """Whether digests tell the content of its splits in any form, not its own files alone."""
        if set(self.splits) <= set(self.digests):
            return True
        plain = self.form == "idx" and not self.slices and STORED.get(self.name, Stored()).plain
        return plain and bool(self.files) and all(file.plain.known for file in self.files)

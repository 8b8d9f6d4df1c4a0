"""The folders of a tree: what lies in them, and which split their names say."""

from __future__ import annotations

import re
from collections import defaultdict

from mnistprep import _png
from mnistprep.formats import _labelfile
from mnistprep.formats._stores import Store

SPLIT_FOLDERS = {
    "train": "train", "training": "train",
    "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid",
    "test": "test", "testing": "test", "t10k": "test",
}  # fmt: skip
# What Windows takes for a device, in any folder and with any ending.
DEVICES = {
    "con", "prn", "aux", "nul", *(f"{port}{k}" for port in ("com", "lpt") for k in range(10))
}  # fmt: skip
MAGIC = (
    _png.SIGNATURE, b"\xff\xd8\xff", b"BM", b"GIF8", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6",
    b"II*\0", b"MM\0*", b"RIFF",
)  # fmt: skip
PICTURES = (
    ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".pbm", ".ppm", ".tif", ".tiff", ".webp",
    ".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg",  # no less pictures where they cannot be read
)  # fmt: skip


class Folders:
    """The folders of a store by what they hold."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.inside: dict[str, list[str]] = defaultdict(list)
        for folder in sorted(store.folders):
            if folder:
                self.inside[folder.rpartition("/")[0]].append(folder)
        self._found: dict[str, tuple[list[str], list[str]]] = {}

    def pictures(self, folder: str) -> list[str]:
        """The pictures that lie directly in a folder, by name."""
        return self._told_apart(folder)[0]

    def others(self, folder: str) -> list[str]:
        """The files in a folder that are no pictures."""
        return self._told_apart(folder)[1]

    def _told_apart(self, folder: str) -> tuple[list[str], list[str]]:
        if folder not in self._found:
            start = f"{folder}/" if folder else ""
            pictures, others = [], []
            for name in self.store.folders[folder]:
                if is_called_picture(name) or (
                    not name.lower().endswith((*_labelfile.ENDINGS, ".json"))
                    and self.store.head(start + name).startswith(MAGIC)
                ):
                    pictures.append(start + name)
                else:
                    others.append(start + name)
            self._found[folder] = pictures, others
        return self._found[folder]

    def below(self, folder: str) -> list[str]:
        """The folder and all folders in it."""
        found = [folder]
        for one in found:
            found += self.inside[one]
        return found

    def holds(self, folder: str) -> bool:
        """Whether there are pictures anywhere in a folder."""
        return any(self.pictures(one) for one in self.below(folder))


def is_called_picture(name: str) -> bool:
    """Whether a name ends as those of pictures do."""
    return name.lower().endswith(PICTURES)


def last(name: str) -> str:
    """The part of a name behind the last slash."""
    return name.rpartition("/")[2]


def stem(name: str) -> str:
    """The last part without its ending."""
    return last(name).rpartition(".")[0] or last(name)


def split_word(name: str) -> str | None:
    """The split that one word of a name says, as in "MNIST - JPG - training" or trainLabels."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.findall(r"[a-z]+[0-9]*k?", apart.lower())
    found = {SPLIT_FOLDERS[word] for word in words if word in SPLIT_FOLDERS}
    return found.pop() if len(found) == 1 else None

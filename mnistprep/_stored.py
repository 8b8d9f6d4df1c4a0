"""How published files hold their datasets: what must be undone to have them upright and from 0.

A Dataset is always upright, its labels always start at 0. The files that NIST, CODH and others
publish are not all like that. The table says for each dataset what its files are called and what is
peculiar to them; whoever reads or writes such files looks here, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

DIGITS = tuple("0123456789")
_BY_CLASS = (*DIGITS, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *"abcdefghijklmnopqrstuvwxyz")
# c i j k l m o p s u v w x y z look alike in both cases, and are merged into the upper case.
_BY_MERGE = (*DIGITS, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *"abdefghnqrt")
_LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
_KMNIST = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_K49 = (
    "a", "i", "u", "e", "o", "ka", "ki", "ku", "ke", "ko", "sa", "shi", "su", "se", "so",
    "ta", "chi", "tsu", "te", "to", "na", "ni", "nu", "ne", "no", "ha", "hi", "fu", "he", "ho",
    "ma", "mi", "mu", "me", "mo", "ya", "yu", "yo", "ra", "ri", "ru", "re", "ro",
    "wa", "wi", "we", "wo", "n", "iteration mark",
)  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """How the published files of one dataset hold it.

    folder: the class of torchvision that reads it, which looks in a folder of that name.
    files: what the names of a split's IDX files begin with; () where they are named as MNIST's.
    classes: names in the order of the labels that a Dataset has.
    transposed: rows and columns of a picture are swapped. first_label: number of the first class.
    columns: of the label table, whose first is the class; 0 for one label an example.
    """

    folder: str = "MNIST"
    files: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    transposed: bool = False
    first_label: int = 0
    columns: int = 0

    @property
    def plain(self) -> bool:
        """Whether the files hold exactly what a Dataset holds."""
        return not (self.transposed or self.first_label or self.columns)


def _emnist(part: str, classes: tuple[str, ...], first_label: int = 0) -> Stored:
    files = {split: f"emnist-{part}-{split}" for split in ("train", "test")}
    return Stored("EMNIST", files, classes, transposed=True, first_label=first_label)


_QMNIST = {"train": "qmnist-train", "test": "qmnist-test"}

# torchvision 0.29 torchvision/datasets/mnist.py for folders, names and the order of classes;
# tensorflow-datasets 4.9.10 image_classification/mnist.py for the orientation.
STORED: dict[str, Stored] = {
    "fashion-mnist": Stored("FashionMNIST"),
    "kmnist": Stored("KMNIST", classes=_KMNIST),
    "k49": Stored(classes=_K49),
    "emnist-byclass": _emnist("byclass", _BY_CLASS),
    "emnist-bymerge": _emnist("bymerge", _BY_MERGE),
    "emnist-balanced": _emnist("balanced", _BY_MERGE),
    "emnist-letters": _emnist("letters", _LETTERS, first_label=1),
    "emnist-digits": _emnist("digits", DIGITS),
    "emnist-mnist": _emnist("mnist", DIGITS),
    "qmnist": Stored("QMNIST", _QMNIST, DIGITS, columns=8),
    "qmnist-test10k": Stored("QMNIST", _QMNIST, DIGITS, columns=8),
    "qmnist-test50k": Stored("QMNIST", _QMNIST, DIGITS, columns=8),
    "qmnist-nist": Stored("QMNIST", {"train": "xnist"}, DIGITS, columns=8),
}


def published_as(name: str) -> tuple[str, str] | None:
    """The dataset and the split whose published IDX files a file's name says it is one of."""
    flat = name.lower().replace(".", "-")
    for dataset, stored in STORED.items():
        for split, start in stored.files.items():
            if re.search(rf"(?<![a-z0-9]){start}-(images|labels)", flat):
                return dataset, split
    return None

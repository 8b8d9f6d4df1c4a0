"""What contenders are given: the digits, files of them in every format, an empty folder."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mnistprep import Dataset

SHORT = (600, 100)  # pictures of the short run
FULL = (60_000, 10_000)  # what synth draws where there are no real digits
_FILES = {"train": "train", "test": "t10k"}
# Formats that are one file. Asking mnistprep would import it into the process that starts the
# others, and its memory would count as theirs: a child's peak begins with what its parent has.
_SUFFIX = {
    "pkl": ".pkl.gz",
    "npz": ".npz",
    "pt": ".pt",
    "safetensors": ".safetensors",
    "hdf5": ".h5",
    "mat": ".mat",
}


@dataclass(frozen=True)
class Given:
    """The digits of a run, and where a contender may write.

    work: the folder of the run, with `inputs` in it. out: a folder of this measurement, empty.
    data: a dataset in any readable form, or None, where synth draws one. short: the tiny sizes.
    """

    work: Path
    out: Path
    data: Path | None
    short: bool

    @cached_property
    def about(self) -> dict[str, Any]:
        """What `prepare` wrote: name, sizes and digests of the dataset, the shape of a picture."""
        found: dict[str, Any] = json.loads((self.work / "inputs" / "about.json").read_text())
        return found

    @property
    def source(self) -> list[str]:
        """The options of the command line for this dataset, as a user would have it."""
        if self.about["name"] == "mnist":
            return ["--dataset", "mnist", "--mirror", str(self.data)]
        return ["--input", str(self.made("idx"))]

    @property
    def count(self) -> Mapping[str, int]:
        """Number of pictures of each split."""
        found: dict[str, int] = self.about["sizes"]
        return found

    def scaled(self, count: int) -> int:
        """So many pictures, or a thousandth of them in the short run."""
        return count // 1000 if self.short else count

    def made(self, form: str) -> Path:
        """The dataset in a format, or `synth:N` pictures in idx; `prepare` has made it."""
        if form.startswith("synth:"):
            return self.work / "inputs" / form.replace(":", "-")
        return self.work / "inputs" / form / f"mnist{_SUFFIX.get(form, '')}"

    def target(self, form: str) -> Path:
        """Where a contender writes a format."""
        return self.out / f"mnist{_SUFFIX.get(form, '')}"

    def files(self, form: str) -> list[Path]:
        """All files of the dataset in a format."""
        made = self.made(form)
        return sorted(p for p in made.rglob("*") if p.is_file()) if made.is_dir() else [made]

    def arrays(self, split: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Pictures (N, H, W) and labels (N,) of a split, in memory, read by NumPy alone."""
        import numpy as np

        raw = self.made("idx") / "MNIST" / "raw"
        images = np.fromfile(raw / f"{_FILES[split]}-images-idx3-ubyte", np.uint8, offset=16)
        labels = np.fromfile(raw / f"{_FILES[split]}-labels-idx1-ubyte", np.uint8, offset=8)
        return images.reshape(len(labels), *self.about["shape"]), labels.astype(np.int64)

    def dataset(self, *splits: str) -> Dataset:
        """The splits (train and test) as a Dataset in memory."""
        from mnistprep import Dataset, Split

        found = {name: Split(*self.arrays(name)) for name in splits or ("train", "test")}
        return Dataset("mnist", found, tuple("0123456789"))


def content(images: npt.NDArray[Any], labels: npt.NDArray[Any], *, ordered: bool) -> str:
    """SHA-256 of the pixels and label of each example, in their order or in that of the bytes."""
    import numpy as np

    pixels = np.asarray(images).reshape(len(labels), -1)
    rows = np.column_stack([pixels, labels]).astype(np.uint8)
    if not ordered:
        rows = rows[rows.view(f"S{rows.shape[1]}").ravel().argsort()]
    return hashlib.sha256(np.ascontiguousarray(rows)).hexdigest()


def prepare(given: Given, form: str) -> None:
    """Make the dataset in a format, once; `idx` comes first, and writes down what it holds."""
    import mnistprep
    from mnistprep import catalog

    target = given.made(form)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if form.startswith("synth:"):
        count = given.scaled(int(form.partition(":")[2]))
        mnistprep.write(mnistprep.load(f"synth:{count},0"), target, "idx")
    elif form == "idx":
        sizes = SHORT if given.short else FULL
        drawn = f"synth:{sizes[0]},{sizes[1]}"
        dataset = (mnistprep.read(given.data) if given.data else mnistprep.load(drawn)).joined()
        mnistprep.write(dataset, target, "idx")
        real = dataset.digests() == catalog.get("mnist").digests
        about = {
            "name": "mnist" if real else given.data.name if given.data else "synth",
            "sizes": {name: len(split) for name, split in dataset.splits.items()},
            "shape": dataset.shape,
        }
        (given.work / "inputs" / "about.json").write_text(json.dumps(about))
    else:
        mnistprep.write(given.dataset(), target, form)


def program(*arguments: str) -> list[str]:
    """The command line of mnistprep as this Python has it."""
    script = Path(sys.executable).with_name("mnistprep")
    start = [str(script)] if script.exists() else [sys.executable, "-m", "mnistprep"]
    return [*start, *arguments]

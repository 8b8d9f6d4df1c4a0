"""Files of whole arrays: idx, idx-gz, pkl, npz, safetensors and pt, written and read."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.cases import Case, Contender, Figure, Splits
from benchmarks.given import Given
from benchmarks.ours import ZLIB, as_read, pair, read_back, reads

_NAMES = {"train": "train", "test": "t10k"}


def _idx_files(folder: Path, end: str = "") -> dict[str, tuple[Path, Path]]:
    """Pictures and labels of each split, as LeCun's files are called."""
    return {
        split: (
            folder / f"{name}-images-idx3-ubyte{end}",
            folder / f"{name}-labels-idx1-ubyte{end}",
        )
        for split, name in _NAMES.items()
    }


def _idx2numpy_writes(given: Given) -> Callable[[], None]:
    import idx2numpy
    import numpy as np

    splits, raw = given.dataset().splits, given.target("idx") / "MNIST" / "raw"
    raw.mkdir(parents=True)

    def run() -> None:
        for name, (images, labels) in _idx_files(raw).items():
            idx2numpy.convert_to_file(str(images), splits[name].images)
            idx2numpy.convert_to_file(str(labels), splits[name].labels.astype(np.uint8))

    return run


def _idx2numpy_reads(given: Given) -> Callable[[], Splits]:
    import idx2numpy

    files = _idx_files(given.made("idx") / "MNIST" / "raw")
    return lambda: {
        name: tuple(idx2numpy.convert_from_file(str(path)) for path in paths)
        for name, paths in files.items()
    }


def _gzip_writes(given: Given) -> Callable[[], None]:
    """Level 6, as mnistprep has it: gzip.open's own is 9, and slower."""
    sources = _idx_files(given.made("idx") / "MNIST" / "raw")
    content = {file.name: file.read_bytes() for files in sources.values() for file in files}
    given.target("idx-gz").mkdir()

    def run() -> None:
        for name, data in content.items():
            with gzip.open(given.target("idx-gz") / f"{name}.gz", "wb", compresslevel=6) as file:
                file.write(data)

    return run


def _gzip_reads(given: Given) -> Callable[[], Splits]:
    import numpy as np

    files = _idx_files(given.made("idx-gz"), ".gz")

    def run() -> Splits:
        found = {}
        for name, paths in files.items():
            raw = []
            for path, offset in zip(paths, (16, 8), strict=True):
                with gzip.open(path) as file:
                    raw.append(np.frombuffer(file.read(), np.uint8, offset=offset))
            found[name] = raw[0], raw[1]
        return found

    return run


def _pickle_writes(given: Given) -> Callable[[], None]:
    """Level 4, as mnistprep has it: gzip.open's own is 9, and several times slower."""
    import numpy as np

    train, test = given.dataset().splits.values()
    cut = len(train) * 5 // 6
    cuts = (train, slice(0, cut)), (train, slice(cut, None)), (test, slice(None))

    def run() -> None:
        parts = tuple(
            (np.float32(split.images[part].reshape(-1, 784)) / 256, split.labels[part])
            for split, part in cuts
        )
        with gzip.open(given.target("pkl"), "wb", compresslevel=4) as file:
            pickle.dump(parts, file, protocol=2)

    return run


def _pickle_reads(given: Given) -> Callable[[], Any]:
    def run() -> Any:
        with gzip.open(given.made("pkl")) as file:
            return pickle.load(file, encoding="latin1")

    return run


def _pickle_content(given: Given, result: Any) -> Splits:
    import numpy as np

    train, valid, test = (((x * 256).astype(np.uint8), y) for x, y in result)
    whole = tuple(np.concatenate(both) for both in zip(train, valid, strict=True))
    return {"train": whole, "test": test}


def _npz_writes(given: Given) -> Callable[[], None]:
    import numpy as np

    splits = given.dataset().splits
    members = {f"x_{name}": split.images for name, split in splits.items()}
    members |= {f"y_{name}": split.labels.astype(np.uint8) for name, split in splits.items()}
    return lambda: np.savez_compressed(given.target("npz"), **members)


def _npz_reads(given: Given) -> Callable[[], Splits]:
    import numpy as np

    def run() -> Splits:
        with np.load(given.made("npz"), allow_pickle=False) as file:
            return {name: (file[f"x_{name}"], file[f"y_{name}"]) for name in _NAMES}

    return run


def _tensors(given: Given) -> dict[str, Any]:
    """The arrays of both splits under the names that tensor files have."""
    return {
        f"{name}_{part}": array
        for name in _NAMES
        for part, array in zip(("images", "labels"), given.arrays(name), strict=True)
    }


def _safetensors_writes(given: Given) -> Callable[[], None]:
    from safetensors.numpy import save_file

    members = _tensors(given)
    return lambda: save_file(members, given.target("safetensors"))


def _safetensors_reads(given: Given) -> Callable[[], Any]:
    from safetensors.numpy import load_file

    return lambda: load_file(given.made("safetensors"))


def _torch_writes(given: Given) -> Callable[[], None]:
    import torch

    members = {name: torch.from_numpy(array) for name, array in _tensors(given).items()}
    return lambda: torch.save(members, given.target("pt"))


def _torch_reads(given: Given) -> Callable[[], Any]:
    import torch

    def run() -> Any:
        content = torch.load(given.made("pt"), weights_only=True)
        return {name: tensor.numpy() for name, tensor in content.items()}

    return run


def _named(given: Given, found: dict[str, Any]) -> Splits:
    return {name: (found[f"{name}_images"], found[f"{name}_labels"]) for name in _NAMES}


def _peer(
    setup: Callable[[Given], Callable[[], Any]],
    name: str,
    content: Callable[[Given, Any], Splits],
    *needs: str,
) -> Contender:
    return Contender(name, setup, content, needs=needs)


_SAFETENSORS = _peer(_safetensors_reads, "safetensors.numpy.load_file", _named, "safetensors")
_PASS = ((), (Figure(ZLIB, most=1.3),))
CASES = (
    *pair(
        "idx",
        (_peer(_idx2numpy_writes, "idx2numpy", read_back("idx"), "idx2numpy"),),
        (_peer(_idx2numpy_reads, "idx2numpy", as_read, "idx2numpy"),),
        whole=True,
    ),
    *pair(
        "idx-gz",
        (_peer(_gzip_writes, "gzip.open", read_back("idx-gz")),),
        (_peer(_gzip_reads, "gzip.open and numpy.frombuffer", as_read),),
        figures=_PASS,
    ),
    *pair(
        "pkl",
        (_peer(_pickle_writes, "gzip.open and pickle.dump", read_back("pkl")),),
        (_peer(_pickle_reads, "gzip.open and pickle.load", _pickle_content),),
        figures=_PASS,
    ),
    *pair(
        "npz",
        (_peer(_npz_writes, "numpy.savez_compressed", read_back("npz")),),
        (_peer(_npz_reads, "numpy.load, as Keras has it", as_read),),
        figures=_PASS,
    ),
    *pair(
        "safetensors",
        (
            _peer(
                _safetensors_writes,
                "safetensors.numpy.save_file",
                read_back("safetensors"),
                "safetensors",
            ),
        ),
        (_SAFETENSORS,),
        whole=True,
    ),
    *pair(
        "pt",
        (_peer(_torch_writes, "torch.save", read_back("pt"), "torch"),),
        (_peer(_torch_reads, "torch.load", _named, "torch"),),
        whole=True,
    ),
    Case(
        "safetensors opened",
        (reads("safetensors"), _SAFETENSORS),
        (
            Figure(most=0.010),
            # Pictures that nobody has looked at are in no memory of the process.
            Figure(measure="grown_mb", most=5),
        ),
        inputs=("safetensors",),
        pictures=(),
    ),
)

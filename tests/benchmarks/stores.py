"""Files of other tools: hdf5, mat, arff and libsvm, written and read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.cases import Contender, Splits
from benchmarks.given import Given
from benchmarks.ours import as_read, pair, read_back

_SPLITS = ("train", "test")
_CHUNK = 1000  # pictures that a compressed store keeps together


def _h5py_writes(given: Given) -> Callable[[], None]:
    import h5py
    import numpy as np

    splits = given.dataset().splits

    def run() -> None:
        with h5py.File(given.target("hdf5"), "w") as file:
            for name, split in splits.items():
                chunks = (min(_CHUNK, len(split)), *split.shape)
                file.create_dataset(f"x_{name}", data=split.images, chunks=chunks, compression=4)
                file[f"y_{name}"] = split.labels.astype(np.uint8)

    return run


def _h5py_reads(given: Given) -> Callable[[], Splits]:
    import h5py

    def run() -> Splits:
        with h5py.File(given.made("hdf5")) as file:
            return {name: (file[f"x_{name}"][:], file[f"y_{name}"][:]) for name in _SPLITS}

    return run


def _savemat(given: Given) -> Callable[[], None]:
    import numpy as np
    from scipy.io import savemat

    content = {}
    for name, split in given.dataset().splits.items():
        content[f"{name}_x"] = split.images.reshape(len(split), -1)
        content[f"{name}_y"] = np.eye(10, dtype=np.uint8)[split.labels]
    return lambda: savemat(given.target("mat"), content, do_compression=True)


def _loadmat(given: Given) -> Callable[[], Any]:
    from scipy.io import loadmat

    return lambda: loadmat(given.made("mat"))


def _mat_content(given: Given, found: Any) -> Splits:
    return {name: (found[f"{name}_x"], found[f"{name}_y"].argmax(axis=1)) for name in _SPLITS}


def _liac_dumps(given: Given) -> Callable[[], None]:
    import arff

    attributes = [(f"pixel{number}", "REAL") for number in range(1, 785)]
    attributes.append(("class", [str(label) for label in range(10)]))
    content = {
        name: [
            [*pixels, str(label)]
            for pixels, label in zip(
                split.images.reshape(len(split), -1).tolist(), split.labels, strict=True
            )
        ]
        for name, split in given.dataset().splits.items()
    }
    folder = given.target("arff")
    folder.mkdir()

    def run() -> None:
        for name, rows in content.items():
            with open(folder / f"mnist_{name}.arff", "w", encoding="utf-8") as file:
                arff.dump({"relation": "mnist", "attributes": attributes, "data": rows}, file)

    return run


def _liac_loads(given: Given) -> Callable[[], Splits]:
    import arff
    import numpy as np

    def run() -> Splits:
        found = {}
        for name in _SPLITS:
            with open(given.made("arff") / f"mnist_{name}.arff", encoding="utf-8") as file:
                # By a generator: as lists of floats, all rows at once take gigabytes.
                rows = arff.load(file, return_type=arff.DENSE_GEN)["data"]
                table = np.stack([np.array(row, np.float64).astype(np.uint8) for row in rows])
            found[name] = table[:, :-1], table[:, -1]
        return found

    return run


def _loadarff(given: Given) -> Callable[[], Any]:
    from scipy.io import arff

    files = {name: given.made("arff") / f"mnist_{name}.arff" for name in _SPLITS}
    return lambda: {name: arff.loadarff(file)[0] for name, file in files.items()}


def _arff_content(given: Given, found: Any) -> Splits:
    import numpy as np

    return {
        name: (
            np.stack([rows[column] for column in rows.dtype.names[:-1]], axis=1).astype(np.uint8),
            rows["class"].astype(np.int64),
        )
        for name, rows in found.items()
    }


def _dump_svmlight(given: Given) -> Callable[[], None]:
    import numpy as np
    from sklearn.datasets import dump_svmlight_file

    # It takes no bytes.
    arrays = {
        name: (images.reshape(len(labels), -1).astype(np.int32), labels)
        for name, (images, labels) in zip(_SPLITS, map(given.arrays, _SPLITS), strict=True)
    }
    folder = given.target("libsvm")
    folder.mkdir()

    def run() -> None:
        for name, (pixels, labels) in arrays.items():
            file = str(folder / f"mnist_{name}.libsvm")
            dump_svmlight_file(pixels, labels, file, zero_based=False)

    return run


def _load_svmlight(given: Given) -> Callable[[], Any]:
    from sklearn.datasets import load_svmlight_files

    paths = sorted(str(path) for path in given.files("libsvm") if path.suffix != ".json")

    def run() -> Any:
        test, test_labels, train, train_labels = load_svmlight_files(paths, n_features=784)
        return {"train": (train.toarray(), train_labels), "test": (test.toarray(), test_labels)}

    return run


def _writer(
    name: str,
    setup: Callable[[Given], Callable[[], Any]],
    content: Callable[[Given, Any], Splits],
) -> Contender:
    return Contender(name, setup, content, needs=(name.partition(".")[0],), rounds=2)


def _reader(
    name: str,
    setup: Callable[[Given], Callable[[], Any]],
    content: Callable[[Given, Any], Splits] = as_read,
    rounds: int = 2,
) -> Contender:
    return Contender(name, setup, content, needs=(name.partition(".")[0],), rounds=rounds)


CASES = (
    *pair(
        "hdf5",
        (_writer("h5py.File", _h5py_writes, read_back("hdf5")),),
        (_reader("h5py.File", _h5py_reads),),
    ),
    *pair(
        "mat",
        (_writer("scipy.io.savemat", _savemat, read_back("mat")),),
        (_reader("scipy.io.loadmat", _loadmat, _mat_content),),
    ),
    *pair(
        "arff",
        (Contender("liac-arff", _liac_dumps, read_back("arff"), needs=("arff",), rounds=1),),
        (
            Contender("liac-arff", _liac_loads, as_read, needs=("arff",), rounds=1),
            _reader("scipy.io.arff.loadarff", _loadarff, _arff_content, rounds=1),
        ),
    ),
    *pair(
        "libsvm",
        (
            _writer(
                "sklearn.datasets.dump_svmlight_file",
                _dump_svmlight,
                read_back("libsvm", shape="28x28"),
            ),
        ),
        (_reader("sklearn.datasets.load_svmlight_files", _load_svmlight),),
    ),
)

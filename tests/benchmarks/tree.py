"""A tree of PNG files: written from arrays, read to arrays."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.cases import OURS, Case, Contender, Figure, Splits
from benchmarks.given import Given
from benchmarks.ours import as_read, read_back, reads, writes
from benchmarks.pictures import batches, classes, in_tree, stacked, torchvision_datasets

_PIXELS = 41  # where the compressed pixels begin in a PNG of one IDAT, after 33 bytes and a head


def _saved(save: Callable[[str, Any], Any], given: Given) -> Callable[[], None]:
    """A loop that calls save(path, pixels) for each picture, in folders that it makes."""
    splits = given.dataset().splits

    def run() -> None:
        for name, split in splits.items():
            for label in range(10):
                os.makedirs(f"{given.target('imagefolder')}/{name}/{label}")
            for number, (picture, label) in enumerate(zip(split.images, split.labels, strict=True)):
                save(f"{given.target('imagefolder')}/{name}/{label}/{number:05}.png", picture)

    return run


def _pillow_saves(given: Given) -> Callable[[], None]:
    from PIL import Image

    return _saved(lambda path, picture: Image.fromarray(picture).save(path), given)


def _opencv_saves(given: Given) -> Callable[[], None]:
    import cv2

    return _saved(cv2.imwrite, given)


def _datumaro_exports(given: Given) -> Callable[[], Any]:
    from datumaro.components.dataset import Dataset

    dataset = Dataset.import_from(str(given.made("idx-gz")), "mnist")
    dataset.init_cache()
    return lambda: dataset.export(
        str(given.target("imagefolder")),
        "imagenet_with_subset_dirs",
        save_media=True,
        image_ext=".png",
    )


def _forked(task: Callable[[list[Any]], None], parts: list[Any]) -> None:
    """The task over parts, dealt out to as many processes as mnistprep uses by default."""
    from mnistprep._workers import default_workers

    count = default_workers()
    processes = [
        get_context("fork").Process(target=task, args=(parts[k::count],)) for k in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise RuntimeError(f"a process of the floor ended with {process.exitcode}")


def _bare_files(given: Given) -> Callable[[], None]:
    """The least that writing the tree takes: open, write, close, in folders that are there."""
    root = given.made("imagefolder")
    folders = []
    for folder in sorted(path for path in root.rglob("*/*") if path.is_dir()):
        target = given.out / folder.relative_to(root)
        target.mkdir(parents=True)
        folders.append((target, [(file.name, file.read_bytes()) for file in folder.iterdir()]))

    def write(parts: list[tuple[Path, list[tuple[str, bytes]]]]) -> None:
        for target, files in parts:
            folder = os.open(target, os.O_RDONLY)
            for name, data in files:
                file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=folder)
                os.write(file, data)
                os.close(file)

    return lambda: _forked(write, folders)


def _bare_inflate(given: Given) -> Callable[[], None]:
    """The least that reading the tree takes: open, read, close and inflate each file."""
    root = given.made("imagefolder")
    folders = [
        (folder, [(file.name, file.stat().st_size) for file in folder.iterdir()])
        for folder in sorted(path for path in root.rglob("*/*") if path.is_dir())
    ]

    def read(parts: list[tuple[Path, list[tuple[str, int]]]]) -> None:
        for path, files in parts:
            folder = os.open(path, os.O_RDONLY)
            for name, size in files:
                file = os.open(name, os.O_RDONLY, dir_fd=folder)
                data = os.read(file, size)
                os.close(file)
                zlib.decompress(data[_PIXELS : _PIXELS + int.from_bytes(data[33:37], "big")])

    return lambda: _forked(read, folders)


def _loop(load: Callable[[Path], Any], given: Given) -> Callable[[], Splits]:
    root = given.made("imagefolder")
    return lambda: {
        name: stacked((load(file), label) for file, label in classes(folder))
        for name, folder in in_tree(root)
    }


def _pillow_reads(given: Given) -> Callable[[], Splits]:
    import numpy as np
    from PIL import Image

    return _loop(lambda path: np.asarray(Image.open(path)), given)


def _opencv_reads(given: Given) -> Callable[[], Splits]:
    import cv2

    return _loop(lambda path: cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), given)


def _epoch(workers: int) -> Callable[[Given], Callable[[], Any]]:
    def setup(given: Given) -> Callable[[], Any]:
        datasets = torchvision_datasets()
        from torch.utils.data import DataLoader
        from torchvision import transforms

        transform = transforms.Compose([transforms.Grayscale(1), transforms.ToTensor()])

        def run() -> dict[str, list[Any]]:
            found = {}
            for name, folder in in_tree(given.made("imagefolder")):
                dataset = datasets.ImageFolder(folder, transform)
                loader = DataLoader(dataset, batch_size=64, num_workers=workers)
                # Copied: as workers share them, each would keep a file open.
                found[name] = [(images.clone(), labels.clone()) for images, labels in loader]
            return found

        return run

    return setup


def _epoch_content(given: Given, result: dict[str, Any]) -> Splits:
    return {name: batches(loader) for name, loader in result.items()}


def _hugging_face_reads(given: Given) -> Callable[[], Splits]:
    import numpy as np
    from datasets import load_dataset

    root = given.made("imagefolder")

    def run() -> Splits:
        # Its own listing of the splits: an index file of ours beside them is no picture.
        files = {name: f"{root}/{name}/*/*.png" for name in ("train", "test")}
        loaded = load_dataset("imagefolder", data_files=files, cache_dir=str(given.out / "cache"))
        return {
            name: stacked((np.asarray(row["image"]), row["label"]) for row in split)
            for name, split in loaded.items()
        }

    return run


def _datumaro_reads(given: Given) -> Callable[[], Splits]:
    from datumaro.components.dataset import Dataset

    root = given.made("imagefolder")
    return lambda: {
        name: stacked(
            (item.media.data, item.annotations[0].label)
            for item in Dataset.import_from(str(folder), "imagenet")
        )
        for name, folder in in_tree(root)
    }


_WRITTEN = read_back("imagefolder")
CASES = (
    Case(
        "tree written",
        (
            writes("imagefolder"),
            writes("imagefolder", name=f"{OURS}, 1 worker", workers=1),
            Contender("floor: bare open, write, close", _bare_files, role="floor"),
            Contender("Pillow loop", _pillow_saves, _WRITTEN, needs=("PIL",), rounds=2),
            Contender("OpenCV loop", _opencv_saves, _WRITTEN, needs=("cv2",), rounds=3),
            Contender("datumaro", _datumaro_exports, _WRITTEN, needs=("datumaro",), rounds=1),
        ),
        (
            Figure("Pillow loop", least=15),
            Figure("datumaro", least=12),
            Figure("OpenCV loop", least=4),
            Figure("floor: bare open, write, close", most=2.5),
        ),
        inputs=("imagefolder", "idx-gz"),
        ordered=False,
    ),
    Case(
        "tree read",
        (
            reads("imagefolder"),
            Contender("floor: bare read and inflate", _bare_inflate, role="floor"),
            Contender(
                "torchvision ImageFolder + DataLoader, an epoch",
                _epoch(0),
                _epoch_content,
                needs=("torchvision",),
                rounds=1,
            ),
            Contender(
                "the same with 2 workers", _epoch(2), _epoch_content, needs=("torchvision",),
                rounds=1,
            ),
            Contender("Pillow loop", _pillow_reads, as_read, needs=("PIL",), rounds=2),
            Contender("OpenCV loop", _opencv_reads, as_read, needs=("cv2",), rounds=3),
            Contender(
                "Hugging Face datasets", _hugging_face_reads, as_read, needs=("datasets",),
                rounds=1,
            ),
            Contender("datumaro", _datumaro_reads, as_read, needs=("datumaro",), rounds=1),
        ),
        (
            Figure("torchvision ImageFolder + DataLoader, an epoch", least=20),
            Figure("floor: bare read and inflate", most=2.5),
        ),
        inputs=("imagefolder",),
        ordered=False,
    ),
)  # fmt: skip

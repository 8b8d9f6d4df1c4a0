"""One bit flipped in an export, again and again, for `verify` to find."""

from __future__ import annotations

import functools
import random
import zipfile
from pathlib import Path

import numpy as np

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.convert import write
from mnistprep.selection import Selection, select
from reliability.trials import Trials

TITLE = "Bits that rot"
ABOUT = """\
A set of 40 pictures with named classes is exported, one random bit of one of its files is flipped
(what lies with the export, such as `mnistprep.json`, is among them), and `verify PATH --input
SOURCE` looks at it. A file is drawn by its size, or, every fourth time, any one with equal chance.
Right is an exit code of 1 with a problem that names the path, or content that is the same to the
last bit: pixels, labels, order, names of the classes, where `valid` begins. What stays the same
when a bit is flipped is what nothing is read from: a time, an operating system or a checksum's
spare bits in headers, bytes that fill blocks, the path of deflate to the same bytes, statistics
and versions, words of a licence."""
COUNT = 1000

# Option for writing and name of the target, beside the defaults of every format.
_VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    "idx flat": ("flat", {"layout": "flat"}),
    "idx-gz level=0": ("stored", {"level": 0}),
    "pkl bare": ("set.pkl", {}),
    "imagefolder zip": ("set.zip", {}),
    "imagefolder tar.gz": ("set.tar.gz", {}),
    "imagefolder layout=metadata": ("set", {"layout": "metadata"}),
    "csv header=none": ("set", {"header": "none"}),
    "csv compression=gzip": ("set", {"compression": "gzip"}),
    "npz names=medmnist": ("set.npz", {"names": "medmnist", "level": 0}),
    "parquet compression=zstd": ("set", {"compression": "zstd", "shard": 7}),
    "webdataset compression=gzip": ("set", {"compression": "gzip"}),
    "hdf5 layout=fuel": ("set.hdf5", {"layout": "fuel"}),
    "hdf5 compression=none": ("set.hdf5", {"compression": "none"}),
    "mat layout=images": ("set.mat", {"layout": "images", "level": 0}),
}
_ZIPPED = ("csv in zip", "idx in zip")


def cases() -> list[str]:
    """Every format as it is written by default, and the forms that lie on disk in another way."""
    usable = [name for name in formats.FORMATS if formats.missing(name) is None]
    rest = [case for case in (*_VARIANTS, *_ZIPPED) if case.split()[0] in usable]
    return [*usable, *rest]


@functools.cache
def dataset() -> Dataset:
    """40 pictures of synth in named classes, of which the last has no example."""
    synth = mnistprep.load("synth:34,6")
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "none")
    named = Dataset("rot", synth.splits, names)
    return select(named, Selection(validation=5))


def export(case: str, folder: Path) -> Path:
    """What the case writes, in a folder of its own."""
    name = case.split()[0]
    holds = dataset()
    if name == "pkl":  # which has no place for names, nor for classes beyond the labels
        holds = Dataset("rot", holds.splits, tuple(map(str, range(10))))
    target, options = _VARIANTS.get(case, (formats.default_output(name, "set"), {}))
    path = write(holds, folder / target, name, **options)
    if case not in _ZIPPED:
        return path
    packed = folder / "packed.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path.rglob("*")):
            archive.write(file, file.relative_to(path))
    return packed


def run(case: str, count: int, seed: int, folder: Path) -> Trials:
    """Flip a bit of the export `count` times, and verify it each time."""
    trials = Trials(case)
    chance = random.Random(f"{seed} {case}")
    folder = folder / "rot"
    path = export(case, folder)
    sound = _in_memory(mnistprep.read(path, workers=1))
    files = [path] if path.is_file() else []
    files += [p for p in sorted(path.rglob("*")) if p.is_file()]
    files += sorted(folder.glob(f"{path.name}.*.json"))
    files = [file for file in files if file.stat().st_size]
    sizes = [file.stat().st_size for file in files]
    for _ in range(count):
        (file,) = chance.choices(files, sizes if chance.randrange(4) else None)
        whole = file.read_bytes()
        at, bit = chance.randrange(len(whole)), chance.randrange(8)
        damaged = bytearray(whole)
        damaged[at] ^= 1 << bit
        file.write_bytes(damaged)
        what = f"{file.relative_to(folder)}, byte {at}, bit {bit}"
        try:
            trials.outcomes[_judge(path, sound, file)] += 1
        except Exception as error:
            trials.failures.append(f"{what}: {type(error).__name__}: {error}"[:500])
        file.write_bytes(whole)
    return trials


def _in_memory(mapped: Dataset) -> Dataset:
    splits = {
        name: Split(np.array(split.images), np.array(split.labels))
        for name, split in mapped.splits.items()
    }
    return Dataset(mapped.name, splits, mapped.classes)


def _judge(path: Path, sound: Dataset, file: Path) -> str:
    report = mnistprep.verify(path, source=sound, train=False, workers=1)
    (check,) = report.checks
    if not report.right:
        assert path.name in check.problems[0], f"no place: {check.problems}"
        assert all(problem.isprintable() for problem in check.problems), check.problems
        if not check.digests:
            return "refused on reading"
        if "by its digest" in check.problems[0]:
            return "found by the digest"
        return "found by what lies with it"
    found = mnistprep.read(path, workers=1)
    difference = _difference(found, sound)
    assert not difference, f"not found: {difference}"
    assert check.order == "original", f"not found: order {check.order}"
    return "the same content"


def _difference(found: Dataset, sound: Dataset) -> str:
    if found.classes != sound.classes:
        return f"classes {found.classes}"
    sizes = {name: len(split) for name, split in found.splits.items()}
    if sizes != {name: len(split) for name, split in sound.splits.items()}:
        return f"splits {sizes}"
    if found.digests() != sound.digests():
        return "digests"
    return ""

"""The forms a dataset can have on disk: a module each, found by name or by content.

A format module offers SUFFIXES, DEFAULT_OUTPUT, NEEDS, sniff, read, write and places, as Format
describes them. It knows the core types, the errors and the file helpers; neither this table nor
the command line.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol, cast, get_args, get_origin, get_type_hints

from mnistprep import _foreign
from mnistprep._files import head
from mnistprep._progress import Progress
from mnistprep._text import printable
from mnistprep.dataset import SPLITS, Dataset
from mnistprep.errors import (
    DetectionError,
    MissingDependency,
    MnistprepError,
    UnknownName,
    UsageError,
)
from mnistprep.formats._splits import named_split

FORMATS: dict[str, str] = {
    "idx": "mnistprep.formats.idx",
    "idx-gz": "mnistprep.formats.idx_gz",
    "pkl": "mnistprep.formats.pkl",
    "imagefolder": "mnistprep.formats.imagefolder",
    "csv": "mnistprep.formats.csv",
    "npz": "mnistprep.formats.npz",
    "pt": "mnistprep.formats.pt",
    "safetensors": "mnistprep.formats.safetensors",
    "parquet": "mnistprep.formats.parquet",
    "arrow": "mnistprep.formats.arrow",
    "webdataset": "mnistprep.formats.webdataset",
    "tfrecord": "mnistprep.formats.tfrecord",
    "hdf5": "mnistprep.formats.hdf5",
    "mat": "mnistprep.formats.mat",
    "arff": "mnistprep.formats.arff",
    "libsvm": "mnistprep.formats.libsvm",
}

_RESERVED = ("dataset", "path", "progress", "workers")  # arguments of `write` that are no options
_KNOWN = f"known formats: {', '.join(FORMATS)}"
_PICTURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"BM", b"GIF8")
_LOOK = 100  # files of a folder that are looked at to say what they are
_LOOK_DEEPER = 300  # files and folders in all the folders of a folder
Verb = Literal["read", "write"]
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Format(Protocol):
    """What every module in this package is."""

    SUFFIXES: tuple[str, ...]
    """File names that mean this format when something is to be written."""
    DEFAULT_OUTPUT: str
    """Where an export goes when nobody says; `{name}` is the dataset's."""
    NEEDS: tuple[str, ...]
    """Modules that reading and writing import and that mnistprep itself does not depend on."""
    __doc__: str

    def sniff(self, path: Path) -> bool:
        """Whether the content of `path` is of this format; quick, and never by name alone."""

    def read(self, path: Path, *, progress: Progress) -> Dataset:
        """The dataset at `path`; raises FormatError for anything that is not right.

        Its own options are keywords.
        """

    def write(self, dataset: Dataset, path: Path, *, progress: Progress) -> None:
        """Write `dataset` to `path`, which does not exist; its own options are keywords."""

    def places(self, path: Path, split: str, indices: Sequence[int]) -> list[str]:
        """Where in `path` the examples `indices` of a split are, for messages to a person.

        Where an example's picture is a file of its own, its place is the path of that file.
        """


def get(name: str) -> Format:
    """The format of that name; raises UnknownName with the names there are."""
    if name not in FORMATS:
        raise UnknownName("format", name, FORMATS)
    return cast(Format, import_module(FORMATS[name]))


def detect(
    path: Path, found: Sequence[str] | None = None, inside: Mapping[Path, list[str]] | None = None
) -> tuple[str, Path]:
    """The format of what is at `path`, and the path it is at: `path`, or the one child that fits.

    found, inside: what `matches` and `within` give for the path, where they have been asked. Raises
    DetectionError when nothing or more than one thing is recognised.
    """
    found = matches(path) if found is None else found
    if len(found) == 1:
        return found[0], path
    if found:
        raise DetectionError(f"{path} could be {' or '.join(found)}; say which with --from FORMAT")
    inside = within(path) if inside is None else inside
    children = [(name, child) for child, names in inside.items() for name in names]
    if len(children) == 1:
        return children[0]
    if children:
        listed = ", ".join(f"{child.name} ({name})" for name, child in children[:6])
        raise DetectionError(f"{path} holds several datasets: {listed}; give the path of one")
    raise DetectionError(f"{path}: {_unrecognised(path)}")


def within(folder: Path) -> dict[Path, list[str]]:
    """What is recognised of the entries of a folder, with the formats that recognise it."""
    entries = visible(folder) if folder.is_dir() else []
    return {entry: names for entry in entries if (names := matches(entry))}


def split_files(inside: Mapping[Path, list[str]]) -> tuple[str, dict[str, Path]] | None:
    """The format of the files `within` a folder, and the files by the split that their names say.

    None unless several files there are recognised, all of them as one format and each as another
    split, such as train.npz and test.npz.
    """
    found = {file: names for file, names in inside.items() if file.is_file()}
    splits = {split: file for file in found if (split := named_split(file.name))}
    formats = {name for names in found.values() for name in names}
    if len(found) < 2 or len(splits) != len(found) or len(formats) != 1:
        return None
    return formats.pop(), {split: splits[split] for split in SPLITS if split in splits}


def check_splits(folder: Path, inside: Mapping[Path, list[str]]) -> None:
    """Raise DetectionError for a file that is called a split, as others there are, and is none.

    inside: what `within` gives for the folder. Without its train.npz, damaged, a folder's test.npz
    would pass for all there is.
    """
    endings = {file.suffix.lower() for file in inside if file.is_file() and named_split(file.name)}
    for file in visible(folder) if endings else ():
        called = named_split(file.name) and file.suffix.lower() in endings
        if called and file not in inside and not file.is_dir():
            raise DetectionError(f"{file}: {_unrecognised(file)}; remove it to read the others")


def besides(folder: Path, name: str) -> list[str]:
    """The files in a folder of the format `name` that are data of another, to be told of.

    Not of a tree of pictures, whose reader says itself what it has ignored.
    """
    others: list[str] = []
    for file in visible(folder)[:_LOOK] if name != "imagefolder" else ():
        if not file.is_file() or head(file, 8).startswith(_PICTURES):
            continue
        known = matches(file)
        if known and not {name, name.removesuffix("-gz"), f"{name}-gz"} & set(known):
            others.append(f"{file.name} ({' or '.join(known)})")
    return others


def matches(path: Path) -> list[str]:
    """The names of the formats that recognise `path` itself."""
    return [name for name in FORMATS if get(name).sniff(path)]


def visible(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without hidden entries."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _unrecognised(path: Path) -> str:
    if path.is_dir():
        inside = visible(path)
        files = [file for file in inside[:_LOOK] if file.is_file()]
        if found := [f"{file.name} is {words}" for file in files if (words := _foreign.what(file))]:
            return printable("; ".join(found[:3]), 400)
        if deeper := [f"{place.relative_to(path)} ({name})" for place, name in _deeper(path)]:
            listed = printable(", ".join(deeper[:6]), 400)
            return f"nothing here is a dataset, but deeper in it: {listed}; give the path of one"
        return f"nothing here is a dataset; {_KNOWN}" if inside else "an empty folder"
    if not path.is_file():
        return "neither a file nor a folder"
    size = path.stat().st_size
    if head(path, 8).startswith(_PICTURES):
        return (
            "a single picture; one that holds many side by side is read with --from imagefolder "
            "-R tile=28x28, if that is their size"
        )
    told = f"no format recognises these {size:,} bytes{_foreign.quoted(path)}; {_KNOWN}"
    return _foreign.what(path) or told


def _deeper(folder: Path) -> list[tuple[Path, str]]:
    """What is recognised below the entries of a folder; it is named and not read, being a guess."""
    found: list[tuple[Path, str]] = []
    waiting, left = [entry for entry in visible(folder) if _is_own_folder(entry)], _LOOK_DEEPER
    for one in waiting:
        with suppress(OSError, MnistprepError):  # told of are only those that can be read
            for entry in visible(one)[:left]:
                left -= 1
                if names := matches(entry):
                    found.append((entry, " or ".join(names)))
                elif _is_own_folder(entry):
                    waiting.append(entry)
    return found


def _is_own_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not path.is_mount()


def of_target(path: Path) -> str:
    """The format that the name of a target means; raises UsageError when it means none."""
    for name in FORMATS:
        if any(path.name.lower().endswith(suffix) for suffix in get(name).SUFFIXES):
            return name
    raise UsageError(f"{path.name!r} does not say a format; add --to FORMAT ({', '.join(FORMATS)})")


def summary(name: str) -> str:
    """The one line that says what a format is."""
    return layout(name).partition("\n")[0]


def layout(name: str) -> str:
    """What a format's module says of itself, also where `python -OO` leaves docstrings out."""
    module = cast(ModuleType, get(name))
    return module.__doc__ or ast.get_docstring(ast.parse(inspect.getsource(module))) or ""


def missing(name: str) -> str | None:
    """What has to be installed before a format can be used; None when nothing is missing."""
    from mnistprep import _extras

    return next(filter(None, map(_extras.missing, get(name).NEEDS)), None)


def check_installed(name: str) -> None:
    """Raise MissingDependency for a format whose library is not installed."""
    if lacking := missing(name):
        raise MissingDependency(f"{name} {lacking}")


def options(name: str, verb: Verb = "write") -> dict[str, inspect.Parameter]:
    """The options that a format's `write` or `read` takes, with resolved types as annotations."""
    function = getattr(get(name), verb)
    hints = get_type_hints(function)
    return {
        key: parameter.replace(annotation=hints[key])
        for key, parameter in inspect.signature(function).parameters.items()
        if key not in _RESERVED
    }


def check_options(name: str, given: Mapping[str, object], verb: Verb = "write") -> None:
    """Raise UsageError for options that a format's `write` or `read` does not take."""
    known = options(name, verb)
    for key, value in given.items():
        _check_known(name, key, known, verb)
        kind = known[key].annotation
        kinds = get_args(kind) if get_origin(kind) is Literal else None
        if (value not in kinds) if kinds else not isinstance(value, kind):
            raise UsageError(f"{key}={value!r} of {name}: expected {describe(key, known[key])}")


def _check_known(name: str, key: str, known: Iterable[str], verb: Verb) -> None:
    if key not in known:
        kind = f"option of {name}" if verb == "write" else f"option for reading {name}"
        raise UnknownName(kind, key, known)


def parse_options(name: str, pairs: Iterable[str], verb: Verb = "write") -> dict[str, Any]:
    """The keyword arguments for `write` or `read` that texts such as "header=none" give.

    Raises UsageError, with the known options, for an unknown name or an ill-typed value.
    """
    known, parsed = options(name, verb), {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        _check_known(name, key, known, verb)
        try:
            if not equals:
                raise ValueError
            parsed[key] = _value(text, known[key].annotation)
        except ValueError:
            expected = describe(key, known[key])
            raise UsageError(f"option {pair!r} of {name}: expected {expected}") from None
    return parsed


def parse_reading(pairs: Iterable[str]) -> dict[str, Any]:
    """The keyword arguments for `read` that texts such as "tile=28x28" give, of any format.

    Which format reads is not known yet. Raises UsageError for an unknown name or an ill-typed
    value.
    """
    takers: dict[str, str] = {}
    for name in FORMATS:
        takers.update(dict.fromkeys(options(name, "read"), name))
    parsed: dict[str, Any] = {}
    for pair in pairs:
        key = pair.partition("=")[0]
        if key not in takers:
            raise UnknownName("option for reading", key, sorted(takers))
        parsed |= parse_options(takers[key], [pair], "read")
    return parsed


def _value(text: str, kind: Any) -> object:
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ValueError
        return text
    if kind is bool:
        if text.lower() not in _WORDS:
            raise ValueError
        return _WORDS[text.lower()]
    return kind(text)


def describe(key: str, parameter: inspect.Parameter) -> str:
    """An option as help shows it: its name, what it takes, its default."""
    kind = parameter.annotation
    takes = "|".join(get_args(kind)) if get_origin(kind) is Literal else kind.__name__
    return f"{key}={takes} (default {parameter.default})"


def default_output(name: str, dataset: str) -> str:
    """The file or folder name of an export when nobody gives one."""
    return get(name).DEFAULT_OUTPUT.format(name=dataset)

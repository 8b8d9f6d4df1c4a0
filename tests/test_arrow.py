"""Arrow: Hugging Face's datasets open what is written, and what it and others save is read."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pytest
from conftest import odd_dataset
from test_hub import IMAGES, LABELS, PICTURES, Notes, table
from test_parquet import GOLDEN, decoded, same, with_valid

import mnistprep
from mnistprep import Dataset, formats
from mnistprep.errors import DataError, FormatError, UnsupportedError, UsageError

FORMAT = formats.get("arrow")


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Hugging Face's library, with its cache in the test's own folder and no network."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own
        import datasets

        datasets.disable_progress_bars()
        yield datasets


def stream(folder: Path, name: str = "x.arrow", content: pa.Table | None = None) -> Path:
    """Write the table as a stream."""
    content = table() if content is None else content
    folder.mkdir(parents=True, exist_ok=True)
    with pa.ipc.new_stream(str(folder / name), content.schema) as writer:
        writer.write_table(content, max_chunksize=4)
    return folder / name


def check(path: Path, *splits: str, **options: Any) -> Dataset:
    """Read, and compare every split with the six pictures."""
    assert FORMAT.sniff(path)
    found = FORMAT.read(path, **options)
    assert tuple(found.splits) == (splits or ("train",))
    for split in found.splits.values():
        assert np.array_equal(split.images, IMAGES)
        assert split.labels.tolist() == LABELS
    return found


# Its real readers


@pytest.mark.parametrize("shape", [(12, 20), (12, 20, 3)], ids=["grey", "colour"])
@pytest.mark.parametrize("shard", [0, 10])
def test_load_from_disk_reads_a_folder(
    tmp_path: Path, datasets: Any, shape: tuple[int, ...], shard: int
) -> None:
    """All splits, an empty one too, with pictures in their mode and the names of the classes."""
    dataset = with_valid(shape)
    folder = mnistprep.write(dataset, tmp_path / "out", "arrow", shard=shard)
    found = datasets.load_from_disk(str(folder))
    assert list(found) == ["train", "validation", "test"]
    for name, part in (("train", "train"), ("valid", "validation"), ("test", "test")):
        split = dataset.splits[name]
        assert len(found[part]) == len(split)
        assert found[part].features["label"].names == list(dataset.classes)
        rows = list(found[part])
        assert {row["image"].mode for row in rows} <= {"L" if len(shape) == 2 else "RGB"}
        if rows:
            same(dataset, split, [row["image"] for row in rows], [row["label"] for row in rows])
    one = datasets.load_from_disk(str(folder / "train"))
    assert one[3]["label"] == dataset.splits["train"].labels[3]


def test_other_readers_open_the_streams(tmp_path: Path, datasets: Any) -> None:
    """Dataset.from_file, polars and pyarrow read a file of its own."""
    import polars

    odd = odd_dataset()
    one = Dataset("x", {"test": odd.splits["test"]}, odd.classes)
    split = one.splits["test"]
    file = mnistprep.write(one, tmp_path / "digits.arrow")
    rows = list(datasets.Dataset.from_file(str(file)))
    same(one, split, [row["image"] for row in rows], [row["label"] for row in rows])
    frame = polars.read_ipc_stream(file)
    same(one, split, [decoded(i["bytes"]) for i in frame["image"]], frame["label"])
    with pa.ipc.open_stream(str(file)) as reader:
        found = reader.read_all().to_pylist()
    same(one, split, [decoded(r["image"]["bytes"]) for r in found], [r["label"] for r in found])
    again = mnistprep.read(file, "arrow")
    assert (again.digests(), again.classes, list(again.splits)) == (
        one.digests(), one.classes, ["test"]
    )  # fmt: skip


def test_what_datasets_saves_is_read(tmp_path: Path, datasets: Any) -> None:
    """A DatasetDict, a Dataset alone, and rows that were chosen before saving."""
    odd = with_valid((5, 6))
    source = mnistprep.write(odd, tmp_path / "out", "arrow")
    loaded = datasets.load_from_disk(str(source))
    loaded.save_to_disk(tmp_path / "all")
    found = FORMAT.read(tmp_path / "all")
    assert list(found.splits) == ["train", "valid", "test"]
    assert all(np.array_equal(found.splits[k].images, s.images) for k, s in odd.splits.items())
    chosen = [5, 1, 1, 30]
    loaded["train"].select(chosen).save_to_disk(tmp_path / "some", num_shards=2)
    some = FORMAT.read(tmp_path / "some").splits["train"]
    assert np.array_equal(some.images, odd.splits["train"].images[chosen])
    assert np.array_equal(some.labels, odd.splits["train"].labels[chosen])


# Writing


def test_a_split_is_cut_into_shards(tmp_path: Path) -> None:
    """state.json lists the files, and places name file and row."""
    folder = mnistprep.write(odd_dataset(), tmp_path / "out", "arrow", shard=10)
    state = json.loads((folder / "train" / "state.json").read_text())
    names = [entry["filename"] for entry in state["_data_files"]]
    assert names == [f"data-{k:05}-of-00004.arrow" for k in range(4)]
    places = FORMAT.places(folder, "train", [9, 10, 36])
    assert [Path(place).name for place in places] == [
        f"{names[0]}, row 9", f"{names[1]}, row 0", f"{names[3]}, row 6"
    ]  # fmt: skip
    assert FORMAT.read(folder).digests() == odd_dataset().digests()


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """Two splits in a file, channels that PNG lacks, and options out of range."""
    with pytest.raises(UnsupportedError, match="one split, not train and test"):
        mnistprep.write(odd_dataset(), tmp_path / "x.arrow")
    with pytest.raises(UnsupportedError, match="not 2"):
        mnistprep.write(odd_dataset((4, 4, 2)), tmp_path / "x", "arrow")
    with pytest.raises(UsageError, match="shard"):
        mnistprep.write(odd_dataset(), tmp_path / "x", "arrow", shard=-1)
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    """Two datasets do not share cached results, the same one does."""
    found = []
    for k, seed in enumerate((0, 0, 1)):
        dataset = mnistprep.load("synth:5,5", seed=seed)
        folder = mnistprep.write(dataset, tmp_path / str(k), "arrow")
        splits = ("train", "test")
        found.append([json.loads((folder / s / "state.json").read_text()) for s in splits])
    prints = [[state["_fingerprint"] for state in states] for states in found]
    assert prints[0] == prints[1]
    assert len({*prints[0], *prints[2]}) == 4


# What other tools wrote


@pytest.mark.parametrize("kind", ["stream", "file", "feather", "lz4", "uncompressed"])
def test_streams_and_files_are_read(tmp_path: Path, kind: str) -> None:
    """Both forms of Arrow, with and without compression, under any name."""
    file = tmp_path / "test.feather"
    if kind == "stream":
        file = stream(tmp_path, "test.arrow")
    elif kind == "file":
        with pa.ipc.new_file(str(file), table().schema) as writer:
            writer.write_table(table(), max_chunksize=4)
    elif kind == "feather":
        pa.feather.write_feather(table(), file)
    else:
        pa.feather.write_feather(table(), file, compression=kind)
    check(file, "test")


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_are_read_as_whatever_they_are_stored(tmp_path: Path, kind: str) -> None:
    """Structs, bytes and lists of any depth and number give the same pixels."""
    check(stream(tmp_path, content=table(PICTURES[kind])))


def test_the_cache_of_datasets_is_read(tmp_path: Path) -> None:
    """Files by the names of splits; results of map beside them are ignored and said."""
    notes = Notes()
    for name in ("mnist-train.arrow", "mnist-test.arrow"):
        stream(tmp_path, name)
    stream(tmp_path, "cache-0123456789abcdef.arrow", table()[:2])
    (tmp_path / "dataset_info.json").write_text("{}")
    check(tmp_path, "train", "test", progress=notes)
    assert any("cache-" in note for note in notes.notes)


def saved(folder: Path, state: object = None, content: pa.Table | None = None) -> Path:
    """A Dataset as save_to_disk leaves it, by hand."""
    file = stream(folder, "data-00000-of-00001.arrow", content)
    known = {"_data_files": [{"filename": file.name}], "_split": None}
    text = json.dumps(known if state is None else {**known, **state})  # type: ignore[dict-item]
    (folder / "state.json").write_text(text)
    return folder


def test_the_rows_that_were_chosen_are_read(tmp_path: Path) -> None:
    """An indices mapping, as older versions leave it, chooses and orders rows; places follow it."""
    folder = saved(tmp_path / "a", {"_indices_data_files": [{"filename": "indices.arrow"}]})
    stream(folder, "indices.arrow", pa.table({"indices": pa.array([4, 0, 4], pa.uint64())}))
    found = FORMAT.read(folder).splits["train"]
    assert np.array_equal(found.images, IMAGES[[4, 0, 4]])
    assert found.labels.tolist() == [LABELS[k] for k in (4, 0, 4)]
    places = FORMAT.places(folder, "train", [0, 1])
    assert [place.split(", ")[1] for place in places] == ["row 4", "row 0"]
    stream(folder, "indices.arrow", pa.table({"indices": pa.array([6], pa.uint64())}))
    with pytest.raises(FormatError, match="row 6 of 6"):
        FORMAT.read(folder)


def test_what_no_table_lists_is_told_of(tmp_path: Path) -> None:
    """A split saved later, and rows beside those of state.json, are not left out in silence."""
    for name in ("train", "test"):
        saved(tmp_path / name)
    stream(tmp_path / "train", "more.arrow")
    stream(tmp_path / "train", "cache-0123.arrow")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    notes = Notes()
    assert list(FORMAT.read(tmp_path, progress=notes).splits) == ["train"]
    assert notes.notes == [
        f"{tmp_path}: not read, as its tables do not list them: test, train/more.arrow"
    ]
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    (tmp_path / "train" / "more.arrow").unlink()
    check(tmp_path, "train", "test")


def test_a_dataset_alone_is_the_split_it_was(tmp_path: Path) -> None:
    """state.json says the split, else the folder's name, else it is train."""
    check(saved(tmp_path / "a"), "train")
    check(saved(tmp_path / "b", {"_split": "test"}), "test")
    check(saved(tmp_path / "validation"), "valid")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"_data_files": [{"filename": "../../etc/passwd"}]}, "files of its own folder"),
        ({"_data_files": [{"filename": "data-00001-of-00002.arrow"}]}, "is missing"),
        ({"_data_files": "x"}, "files of its own folder"),
        ({"_data_files": [{"filename": 3}]}, "files of its own folder"),
    ],
)
def test_a_list_of_files_that_is_wrong_is_refused(
    tmp_path: Path, state: object, message: str
) -> None:
    """Paths that lead out, files that are not there, and lists that are none."""
    with pytest.raises(FormatError, match=message):
        FORMAT.read(saved(tmp_path, state))


def test_splits_without_a_place_are_refused(tmp_path: Path) -> None:
    """A split called nist, two that would be test, and one whose folder is not there."""
    for names, message in (
        (["train", "nist"], "split 'nist' is no other"),
        (["test10k", "test50k"], "split 'test50k' is no other"),
        (["../train"], "is no other"),
        ([], "a list of `splits`"),
        (["train", "validation"], "state.json is missing"),
    ):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for name in names:
            if name in ("train", "nist", "test10k", "test50k"):
                saved(folder / name)
        folder.mkdir(exist_ok=True)
        (folder / "dataset_dict.json").write_text(json.dumps({"splits": names}))
        assert FORMAT.sniff(folder)
        with pytest.raises(FormatError, match=message):
            FORMAT.read(folder)


def test_files_of_other_kinds_are_not_taken_for_arrow(tmp_path: Path) -> None:
    """Four bytes of ones are no stream, and a folder of anything else is none."""
    for content in (b"", b"\xff" * 4, b"\xff" * 400, b"\xff\xff\xff\xff" + bytes(400), b"ARROW"):
        (tmp_path / "x.arrow").write_bytes(content)
        assert not FORMAT.sniff(tmp_path / "x.arrow")
        assert not FORMAT.sniff(tmp_path)
    assert not FORMAT.sniff(tmp_path / "nothing")
    stream(tmp_path, "y.arrow")
    with pytest.raises(FormatError, match=r"x\.arrow: not Arrow, but 5 bytes of something else"):
        FORMAT.read(tmp_path)


# Damage


def small(folder: Path) -> tuple[Path, Dataset]:
    odd = odd_dataset((3, 4), train=7, test=5)
    return mnistprep.write(odd, folder / "out", "arrow"), odd


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    """Cut anywhere, it is not read: a stream has an end that is missed."""
    folder, _ = small(tmp_path)
    file = folder / "train" / "data-00000-of-00001.arrow"
    data = file.read_bytes()
    for end in range(0, len(data), 8):
        file.write_bytes(data[:end])
        with pytest.raises(FormatError):
            FORMAT.read(folder, workers=1)


def test_a_flipped_byte_is_found_or_does_no_harm(tmp_path: Path) -> None:
    """Nothing but FormatError, and never other data."""
    folder, dataset = small(tmp_path)
    chance = np.random.default_rng(5)
    for name, count in (("data-00000-of-00001.arrow", 500), ("state.json", 100)):
        file = folder / "train" / name
        data = file.read_bytes()
        for place in chance.choice(len(data), count, replace=False):
            changed = bytearray(data)
            changed[place] ^= int(chance.integers(1, 256))
            file.write_bytes(changed)
            try:
                found = FORMAT.read(folder, workers=1)
            except (FormatError, DataError) as error:
                assert str(error).count("\n") < 2
            else:
                assert found.digests() == dataset.digests()
                assert found.classes == dataset.classes
        file.write_bytes(data)


# Golden files


def test_golden_files() -> None:
    """What save_to_disk and polars wrote holds the numbers that they were made from."""
    found = FORMAT.read(GOLDEN / "arrow")
    assert found.classes == tuple("0123456789")
    first = 0
    for name, count in (("train", 6), ("valid", 2), ("test", 3)):
        numbers = np.arange(first, first + count)
        pixels = (37 * (16 * numbers[:, None] + np.arange(16)) + 11) % 256
        same(found, found.splits[name], pixels, 7 * numbers % 10)
        first += count
    assert FORMAT.sniff(GOLDEN / "polars.arrow")
    alone = FORMAT.read(GOLDEN / "polars.arrow").splits["train"]
    same(found, alone, found.splits["train"].images, found.splits["train"].labels)

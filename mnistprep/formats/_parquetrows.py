"""The rows of a Parquet file, a few at a time: what they become is known before it is made.

A dictionary, and pages that are compressed well, let a few kB stand for gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mnistprep import _extras, _limits
from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _hub_values, _parquetpages

_BETWEEN = b"PAR1PAR1"  # the end of a file and the start of another
_LOOK = 1 << 20  # bytes looked at together
_BATCH = 1000  # rows
_ROW = 100  # bytes that a row takes at least, with its picture and in memory
_ROOM = 64 << 20  # bytes of a batch, where rows are long
_NUMBER = 8  # bytes that a number in a list takes, with what tells where each list ends
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}


def check_count(count: int, packed: int, where: object) -> None:
    """Raise FormatError for more rows than a file of `packed` bytes can have."""
    if _ROW * count > (limit := _limits.most(packed)):
        raise FormatError(
            f"{where}: more than {limit // _ROW:,} rows, in a file too small for pictures of so "
            f"many; {_limits.RAISE}"
        )


def batches(source: Any, columns: Iterable[str], packed: int, where: object) -> Iterator[Any]:
    """The record batches of some columns of `source`, an open file of `packed` bytes, in order.

    Raises FormatError for types that end the process in pyarrow, for what would become too much,
    and for rows that are missing; whatever pyarrow raises for damage passes through.
    """
    _check_single(source, where)
    columns, parquet = list(columns), _extras.load("pyarrow.parquet")
    with parquet.ParquetFile(source, page_checksum_verification=True) as opened:
        for name in columns:
            if _hub_values.crashes(opened.schema_arrow.field(name).type):
                raise FormatError(
                    f"{where}: column {printable(name, 40)} is an extension type over a "
                    "dictionary, which pyarrow does not read; write it as a plain column"
                )
        footer, rows, size, limit = opened.metadata, 0, 0, _limits.most(packed)
        check_count(footer.num_rows, packed, where)
        groups = [footer.row_group(k) for k in range(footer.num_row_groups)]
        leaves = _leaves(opened.schema, set(columns))
        stored = [opened.schema.column(k) for k in leaves]
        listed = [k for k in leaves if opened.schema.column(k).max_repetition_level]
        inner = _parquetpages.sizes(source, packed, listed, where) if listed else []
        # What the footer has of a chunk would tell more; asked for it, pyarrow ends the process
        # where that is damaged.
        row = sum(_WIDTHS.get(leaf.physical_type, 0) for leaf in stored)
        promised = sum(max(group.total_byte_size, row * group.num_rows) for group in groups)
        _check(promised, limit, packed, where)
        values = sum(pages.values for group in inner for pages in group.values())
        _check(_NUMBER * values, limit, packed, where)
        if sum(group.num_rows for group in groups) == footer.num_rows:
            probe = _Probe(source, packed, opened, inner, where)
            for count, numbers in _steps(probe, groups, leaves, limit, packed, where):
                for batch in opened.iter_batches(
                    count, row_groups=numbers, columns=columns, use_threads=False
                ):
                    batch.validate(full=True)
                    rows += batch.num_rows
                    size += sum(map(_size, batch.columns))
                    _check(size, limit, packed, where)
                    yield batch.select(columns)
        if rows != footer.num_rows:
            raise FormatError(f"{where}: rows are missing; the file is damaged: get it again")


def _check_single(source: Any, where: object) -> None:
    """Raise FormatError for two files in one; the second one's places are looked for in the first.

    source: an open file.
    """
    source.seek(0)
    last, at = b"", 0
    while block := source.read(_LOOK):
        found = (last + block).find(_BETWEEN)
        if found >= 0:
            raise FormatError(
                f"{where}: another Parquet file follows the first at byte "
                f"{at - len(last) + found + 4:,}; take them apart"
            )
        last, at = block[-len(_BETWEEN) + 1 :], at + len(block)


def _steps(
    probe: _Probe, groups: list[Any], leaves: list[int], limit: int, packed: int, where: object
) -> Iterator[tuple[int, list[int]]]:
    """How many rows to read at once, and of which row groups."""
    run: list[int] = []
    before = _BATCH
    for k, group in enumerate(groups):
        count = _BATCH
        for leaf in leaves if group.num_rows else ():
            size = probe.size(k, leaf, group.num_rows)
            if probe.is_listed_text(leaf):
                _check(size * group.num_rows, limit, packed, where)
            elif size:
                count = max(1, min(count, _ROOM // size))
        if run and count != before:
            yield before, run
            run = []
        run.append(k)
        before = count
    if run:
        yield before, run


class _Probe:
    """Tells what a row of a row group may become, by its first ones and by counts of values."""

    def __init__(
        self,
        source: Any,
        packed: int,
        opened: Any,
        inner: list[dict[int, _parquetpages.Pages]],
        where: object,
    ) -> None:
        self._source, self._packed, self._where = source, packed, where
        self._opened, self._inner = opened, inner
        self._readers = dict[int, Any]()
        self._deltas = dict[int, list[dict[int, _parquetpages.Pages]]]()

    def is_listed_text(self, leaf: int) -> bool:
        """Whether a stored column is one of texts or bytes in lists."""
        return self._is_text(leaf) and self._is_listed(leaf)

    def size(self, group: int, leaf: int, rows: int) -> int:
        """The bytes of the longest text that the dictionary of a row group has, or the first row.

        Of numbers in lists, those that are in a row; 0 for other numbers.
        """
        text, listed = self._is_text(leaf), self._is_listed(leaf)
        if not text:
            return _NUMBER * self._inner[group][leaf].values // rows if listed else 0
        path = self._opened.schema.column(leaf).path
        if leaf not in self._readers:  # which stays open with the source
            self._readers[leaf] = _extras.load("pyarrow.parquet").ParquetFile(
                self._source, metadata=self._opened.metadata, read_dictionary=[path],
                page_checksum_verification=True,
            )  # fmt: skip
        found = self._readers[leaf].iter_batches(
            rows if listed else 1, row_groups=[group], columns=[path], use_threads=False
        )
        try:
            column = _inner(next(iter(found)).column(0))
        except OSError as error:
            if "Not yet implemented" not in str(error):
                raise
            return self._delta(leaf)[group][leaf].largest
        if not len(column.dictionary):
            return 0
        compute = _extras.load("pyarrow.compute")
        return int(compute.max(compute.binary_length(column.dictionary)).as_py() or 0)

    def _delta(self, leaf: int) -> list[dict[int, _parquetpages.Pages]]:
        """The pages of a column in one of the delta encodings, which no dictionary is made of.

        No text is longer than its page, though each may be as long as the one before it.
        """
        if leaf not in self._deltas:
            self._deltas[leaf] = _parquetpages.sizes(
                self._source, self._packed, [leaf], self._where
            )
        return self._deltas[leaf]

    def _is_text(self, leaf: int) -> bool:
        return bool(self._opened.schema.column(leaf).physical_type == "BYTE_ARRAY")

    def _is_listed(self, leaf: int) -> bool:
        return bool(self._opened.schema.column(leaf).max_repetition_level)


def _inner(column: Any) -> Any:
    """What is at the bottom of a column of structs and lists: a dictionary, or numbers."""
    types = _extras.load("pyarrow").types
    while True:
        if types.is_dictionary(column.type):
            return column
        if hasattr(column, "storage"):
            column = column.storage
        elif types.is_struct(column.type):
            column = column.field(0)
        elif types.is_nested(column.type):
            column = column.flatten()
        else:
            return column


def _check(size: int, limit: int, packed: int, where: object) -> None:
    if size > limit:
        raise FormatError(
            f"{where}: {packed:,} bytes that would become {size:,} or more; {_limits.RAISE}"
        )


def _size(column: Any) -> int:
    """The bytes of a column; of a dictionary, which batches have in common, only the indices."""
    types = _extras.load("pyarrow").types
    return int(column.indices.nbytes if types.is_dictionary(column.type) else column.nbytes)


def _leaves(schema: Any, columns: set[str]) -> list[int]:
    """The numbers of the stored columns that make up the given ones."""
    found = []
    for k in range(len(schema)):
        parts = schema.column(k).path.split(".")  # of a struct or a list, or with dots in a name
        if any(".".join(parts[:end]) in columns for end in range(1, len(parts) + 1)):
            found.append(k)
    return found

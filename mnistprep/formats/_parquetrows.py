"""The rows of a Parquet file, a few at a time: what they become is known before it is made.

A dictionary, and pages that are compressed well, let a few kB stand for gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mnistprep import _extras, _limits
from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _hub_values

_BATCH = 1000  # rows
_ROW = 100  # bytes that a row takes at least, with its picture and in memory
_ROOM = 64 << 20  # bytes of a batch, where rows are long
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
        _check(sum(_promised(group, leaves) for group in groups), limit, packed, where)
        if sum(group.num_rows for group in groups) == footer.num_rows:
            dictionaries = _Dictionaries(source, opened, leaves)
            for count, numbers in _steps(dictionaries, groups, limit, packed, where):
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


def _promised(group: Any, leaves: list[int]) -> int:
    """The bytes that the columns of a row group become, as the footer has it."""
    size = 0
    for k in leaves:
        chunk = group.column(k)
        width = _WIDTHS.get(chunk.physical_type, 0)
        size += max(chunk.total_uncompressed_size, chunk.num_values * width)
    return size


def _steps(
    dictionaries: _Dictionaries, groups: list[Any], limit: int, packed: int, where: object
) -> Iterator[tuple[int, list[int]]]:
    """How many rows to read at once, and of which row groups."""
    run: list[int] = []
    before = _BATCH
    for k, group in enumerate(groups):
        # Repeated numbers take as much again while pyarrow tells where each row ends.
        count = max(1, min(_BATCH, _ROOM * group.num_rows // max(1, dictionaries.numbers(group))))
        for leaf, repeated in dictionaries.leaves.items():
            chunk = group.column(leaf)
            if chunk.has_dictionary_page and group.num_rows:
                longest = dictionaries.longest(k, leaf, group.num_rows if repeated else 1)
                if repeated:
                    _check(longest * chunk.num_values, limit, packed, where)
                else:
                    count = max(1, min(count, _ROOM // max(1, longest)))
        if run and count != before:
            yield before, run
            run = []
        run.append(k)
        before = count
    if run:
        yield before, run


class _Dictionaries:
    """The dictionaries of the texts and bytes among the stored columns `leaves`.

    leaves: the numbers of those columns, and whether they are in lists.
    """

    def __init__(self, source: Any, opened: Any, leaves: list[int]) -> None:
        self._source, self._opened, self._readers = source, opened, dict[int, Any]()
        columns = [(k, opened.schema.column(k)) for k in leaves]
        self._lists = [k for k, column in columns if column.max_repetition_level > 0]
        self.leaves = {
            k: column.max_repetition_level > 0
            for k, column in columns
            if column.physical_type == "BYTE_ARRAY"
        }

    def numbers(self, group: Any) -> int:
        """The bytes of the numbers in the lists of a row group."""
        chunks = map(group.column, self._lists)
        return sum(8 * chunk.num_values for chunk in chunks)

    def longest(self, group: int, leaf: int, rows: int) -> int:
        """The bytes of the longest entry that the first rows of a row group have to choose from."""
        path = self._opened.schema.column(leaf).path
        if leaf not in self._readers:  # which stays open with the source
            self._readers[leaf] = _extras.load("pyarrow.parquet").ParquetFile(
                self._source, metadata=self._opened.metadata, read_dictionary=[path],
                page_checksum_verification=True,
            )  # fmt: skip
        found = self._readers[leaf].iter_batches(
            rows, row_groups=[group], columns=[path], use_threads=False
        )
        longest = 0
        for batch in found:
            column = _inner(batch.column(0))
            if len(column.dictionary):
                compute = _extras.load("pyarrow.compute")
                longest = max(
                    longest, compute.max(compute.binary_length(column.dictionary)).as_py()
                )
            break
        return longest


def _inner(column: Any) -> Any:
    """The dictionary at the bottom of a column of structs and lists."""
    types = _extras.load("pyarrow").types
    while not types.is_dictionary(column.type):
        if hasattr(column, "storage"):
            column = column.storage
        elif types.is_struct(column.type):
            column = column.field(0)
        else:
            column = column.flatten()
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

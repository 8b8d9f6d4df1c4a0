"""Deflate for many small blocks of one size at once: runs of equal bytes, in deflate's fixed code.

zlib spends most of its time on a small block on what does not depend on its size: setting up, and
making a code for it. Here all blocks share the code that RFC 1951 (section 3.2.6) defines, and
NumPy works on all of them together. Any inflater reads the result.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images

Words = npt.NDArray[np.uint32]

_RUN = 259  # bytes of the longest run with a code of its own: one as it is, and 258 like it
_BEGIN = 0b011  # the last block, in the fixed code; three bits
_BITS_AROUND = 3 + 7  # of the beginning, and of the end, which is seven zeros
_WIDTH_BITS = np.uint32(5)  # of a table's entry that say how many the others are ...
_WIDTH = np.uint32(31)  # ... and those alone


def deflate(blocks: Images) -> tuple[bytes, list[int]]:
    """Raw deflate streams of (N, size) uint8, one behind the other, and the byte where each starts.

    The last number is where the last one ends. Together they must be below 2**32 bits.
    """
    count, size = blocks.shape
    flat = blocks.reshape(-1)
    begins = np.empty(len(flat) + 1, np.bool_)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:-1])
    begins[::size] = True
    edges = np.flatnonzero(begins)
    lengths = edges[1:] - edges[:-1]
    if lengths.max() > _RUN:  # a few: the margins above and below
        long = np.flatnonzero(lengths > _RUN)
        cuts = [np.arange(edges[k] + _RUN, edges[k + 1], _RUN) for k in long.tolist()]
        at = np.repeat(long + 1, [len(each) for each in cuts])
        edges = np.insert(edges, at, np.concatenate(cuts))
        lengths = edges[1:] - edges[:-1]
    table, firsts = _codes()
    codes = table.take(firsts.take(flat.take(edges[:-1])) + lengths)
    ends = np.zeros(len(edges), np.uint32)
    np.cumsum(codes & _WIDTH, dtype=np.uint32, out=ends[1:])
    runs = np.searchsorted(edges, np.arange(count + 1) * size)  # the first of each block
    before = ends[runs].astype(np.intp)  # bits of all earlier blocks, without gaps
    starts = np.zeros(count + 1, np.intp)
    np.cumsum((np.diff(before) + _BITS_AROUND + 7) // 8, out=starts[1:])
    gaps = (8 * starts[:-1] + 3 - before[:-1]).astype(np.uint32)
    places = ends[:-1] + np.repeat(gaps, np.diff(runs))
    packed = _packed(codes >> _WIDTH_BITS, places, int(starts[-1]))
    packed[starts[:-1]] |= _BEGIN
    return packed.tobytes(), starts.tolist()


def _packed(bits: Words, at: Words, size: int) -> Images:
    """Bytes, first bit lowest, with the numbers `bits` at rising places that do not overlap."""
    shifted = bits.astype(np.uint64)
    shifted <<= at & 31
    words = at >> 5
    last = np.ones(len(words), np.bool_)
    np.not_equal(words[1:], words[:-1], out=last[:-1])
    groups = np.flatnonzero(last)
    # No bit is there twice, so that adding joins them. The sum of all up to each goes round 2**64,
    # and so does the difference of two of them, which is right again.
    sums = np.cumsum(shifted)[groups]
    sums[1:] -= sums[:-1].copy()
    halves = sums.astype("<u8", copy=False).view("<u4")
    out = np.zeros(size // 4 + 2, "<u4")
    words = words[groups].astype(np.intp)
    out[words] = halves[::2]
    out[words + 1] |= halves[1::2]
    return out.view(np.uint8)[:size]


@lru_cache
def _codes() -> tuple[Words, npt.NDArray[np.intp]]:
    """The bits of each run, first bit lowest, above their number; and where each byte's begin.

    A code has 27 bits at most. A run of a byte is so far behind the byte's place as it is long.
    """
    bits = np.zeros((256, _RUN + 1), np.uint32)
    sizes = np.zeros((256, _RUN + 1), np.uint32)
    repeats = [_repeat(length) for length in range(3, _RUN)]
    codes = np.array([code for code, _ in repeats], np.uint32)
    widths = np.array([width for _, width in repeats], np.uint32)
    for byte in range(256):
        code, width = (0x30 + byte, 8) if byte < 144 else (0x190 + byte - 144, 9)
        literal = _reversed(code, width)
        for length in range(1, 4):
            bits[byte, length] = sum(literal << (width * k) for k in range(length))
            sizes[byte, length] = width * length
        bits[byte, 4:] = np.uint32(literal) | codes << np.uint32(width)
        sizes[byte, 4:] = width + widths
    return (bits << _WIDTH_BITS | sizes).reshape(-1), np.arange(256) * (_RUN + 1)


def _repeat(length: int) -> tuple[int, int]:
    """Bits and their number that say: `length` times (3 to 258) the byte before."""
    extra = max((length - 3).bit_length() - 3, 0) if length < 258 else 0
    symbol = 257 + length - 3 if extra == 0 else 257 + 4 * extra + ((length - 3) >> extra)
    symbol = 285 if length == 258 else symbol
    more = (length - 3) & ((1 << extra) - 1)
    code, width = (symbol - 256, 7) if symbol < 280 else (0xC0 + symbol - 280, 8)
    # Behind the length and its extra bits comes the distance 1: five zeros.
    return _reversed(code, width) | more << width, width + extra + 5


def _reversed(code: int, width: int) -> int:
    """Huffman codes are packed from their highest bit; everything else from its lowest."""
    return int(f"{code:0{width}b}"[::-1], 2)

"""Temporary files, for what is too large for memory."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from tempfile import TemporaryFile, gettempdir

from mnistprep.errors import TargetError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what the system says of writing


def no_room(error: OSError, use: str) -> TargetError:
    """The error for a folder that takes no more, which is not the one that a user has named."""
    return TargetError(
        f"no room {use}: the folder for temporary files, {gettempdir()}, takes no more "
        f"({error.strerror}); make room there, or set TMPDIR to another folder"
    )


@contextmanager
def temporary_file(use: str) -> Iterator[BufferedRandom]:
    """A file without a name, which goes with the block or the last map of it.

    use: what it is there for ("to read x"). Nothing else may be written in the block. Raises
    TargetError when there is no room for it.
    """
    try:
        with TemporaryFile(prefix="mnistprep-") as file:
            yield file
    except OSError as error:
        if error.errno in NO_ROOM:
            raise no_room(error, use) from error
        raise

"""One input of a fuzzer, read as users read it.

python -m reliability.fuzz_once READER FILE FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from mnistprep.errors import MnistprepError
from reliability.fuzz_layers import decoded
from reliability.fuzz_readers import READERS


def main(name: str, file: Path, folder: Path) -> str:
    """What became of the input: "read" or "refused"."""
    tree = decoded(file.read_bytes(), "x")
    path = folder / "once" / tree.name
    for inner, data in tree.files:
        target = path / inner if tree.folder else path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    try:
        READERS[name].read(path, tree.flags)
    except MnistprepError as error:
        print(error, file=sys.stderr)
        return "refused"
    return "read"


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))

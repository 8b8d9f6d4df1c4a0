"""Make the golden LIBSVM files: python make_libsvm.py libsvm.

scikit-learn writes those called sklearn_*; the others are laid out as on LIBSVM's page. The numbers
are those of make.py; see README.md for when.
"""

import bz2
import sys
from pathlib import Path

from make import COUNTS, split
from sklearn.datasets import dump_svmlight_file


def main(folder: Path) -> None:
    for name, first, count in COUNTS:
        images, labels = split(first, count)
        pixels = images.reshape(count, 16).astype(float)
        for kind, base in (("zero", True), ("one", False)):
            target = folder / f"sklearn_{kind}_{name}.txt"
            dump_svmlight_file(pixels, labels, str(target), zero_based=base, comment="golden")
        target = folder / f"sklearn_unit_{name}.txt"
        dump_svmlight_file(pixels / 255, labels, str(target), zero_based=False)
        if name == "valid":
            continue
        for title, scale in (("mnist", 1), ("mnist.scale", 255)):
            lines = []
            for label, row in zip(labels, pixels, strict=True):
                pairs = [f"{k + 1}:{value / scale:.6g} " for k, value in enumerate(row) if value]
                lines.append(f"{label} {''.join(pairs)}\n")
            ending = ".t" if name == "test" else ""
            target = folder / title / f"{title}{ending}.bz2"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(bz2.compress("".join(lines).encode()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

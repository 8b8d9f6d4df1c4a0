"""Make the golden ARFF files with liac-arff, and one by Weka's rules: python make_arff.py arff.

The numbers are those of make.py; see README.md for when.
"""

import sys
from pathlib import Path

import arff
from make import COUNTS, split

NAMES = [("pixel%d" % k, "REAL") for k in range(1, 17)]  # noqa: UP031


def main(folder: Path) -> None:
    digits = [str(k) for k in range(10)]
    for name, first, count in COUNTS:
        images, labels = split(first, count)
        rows = [
            [float(value) for value in image.reshape(16)] + [str(label)]
            for image, label in zip(images, labels, strict=True)
        ]
        table = {
            "description": f"The {name} pictures\nby liac-arff",
            "relation": "golden",
            "attributes": [*NAMES, ("class", digits)],
            "data": rows,
        }
        (folder / f"liac_{name}.arff").write_text(arff.dumps(table), encoding="utf-8")
        sparse = [{k: value for k, value in enumerate(row) if value} for row in rows]
        (folder / f"sparse_{name}.arff").write_text(
            arff.dumps({**table, "data": sparse}), encoding="utf-8"
        )
    # Weka's own style: quoted names, values of the class as they come, CRLF.
    images, labels = split(*COUNTS[0][1:])
    seen = dict.fromkeys(map(str, labels))
    rest = [digit for digit in digits if digit not in seen]
    lines = ["% by Weka's rules", "", "@relation 'a set-weka.filters'", ""]
    lines += [f"@attribute 'pixel {k}' numeric" for k in range(16)]
    lines += [f"@attribute class {{{','.join([*seen, *rest])}}}", "", "@data"]
    lines += [
        ",".join(map(str, [*image.reshape(16), label]))
        for image, label in zip(images, labels, strict=True)
    ]
    (folder / "weka_train.arff").write_bytes("\r\n".join([*lines, ""]).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

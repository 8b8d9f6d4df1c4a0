"""Make the golden shards with webdataset's own writer; see README.md.

    python make_webdataset.py DIRECTORY

The numbers are those of make.py. ShardWriter puts `cls` before `png`, its user and the time into
the headers.
"""

import os
import sys

import webdataset
from make import COUNTS, split
from PIL import Image

folder = os.path.join(sys.argv[1], "webdataset")
os.makedirs(folder)
for name, first, count in COUNTS:
    images, labels = split(first, count)
    packed = name != "test"
    pattern = os.path.join(folder, f"digits-{name}-%06d.tar" + (".gz" if packed else ""))
    with webdataset.ShardWriter(pattern, maxcount=4, compress=packed) as shards:
        for k in range(count):
            more = {"json": {"split": name}} if packed else {}
            picture, key = Image.fromarray(images[k]), f"some.folder/{first + k:04}"
            shards.write({"__key__": key, "png": picture, "cls": int(labels[k]), **more})

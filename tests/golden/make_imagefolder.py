"""Make the golden trees with other people's tools; see README.md for which.

    python make_imagefolder.py DIRECTORY     needs Pillow, pandas, GNU tar, Info-ZIP

The numbers are those of make.py: pixel k of a split that starts at picture `first` is
(37 * (16 * first + k) + 11) % 256 in pictures of 4x4, label k is (7 * (first + k)) % 10.
"""

import os
import subprocess
import sys
import tempfile

import pandas
from make import split
from PIL import Image

TRAIN, TEST = split(0, 6), split(8, 3)


def save(folder, name, pixels):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray(pixels).save(path)


def main(target):
    os.makedirs(target)
    with tempfile.TemporaryDirectory() as folder:
        for name, (images, labels) in (("training", TRAIN), ("testing", TEST)):
            for k, (pixels, label) in enumerate(zip(images, labels, strict=True)):
                save(folder, f"mnist_png/{name}/{label}/{k}.png", pixels)
        archive = os.path.abspath(os.path.join(target, "mnist_png.tar.gz"))
        subprocess.run(["tar", "-czf", archive, "mnist_png"], cwd=folder, check=True)
    with tempfile.TemporaryDirectory() as folder:
        for k, (pixels, label) in enumerate(zip(*TRAIN, strict=True)):
            save(folder, f"train/{k:05}_{label}.pgm", pixels)
            save(folder, f"train/{k + 6:05}_{label}.pgm", 255 - pixels)
        archive = os.path.abspath(os.path.join(target, "flat.zip"))
        subprocess.run(["zip", "-rq", archive, "train"], cwd=folder, check=True)
    heap = os.path.join(target, "heap")
    for name, (images, labels) in (("train", TRAIN), ("test", TEST)):
        for k, pixels in enumerate(images):
            save(heap, f"{name}/{k}.tif", pixels)
        frame = pandas.DataFrame({"file_name": [f"{k}.tif" for k in range(len(images))]})
        frame.assign(label=labels).to_parquet(os.path.join(heap, name, "metadata.parquet"))


if __name__ == "__main__":
    main(sys.argv[1])

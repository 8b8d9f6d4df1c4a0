"""Make the golden records with TensorFlow and TensorFlow Datasets; see README.md.

    python make_tfrecord.py DIRECTORY

The numbers are those of make.py. `tfds` is what a dataset builder of TFDS prepares; `slim` has the
features of TF-slim's converter, `raw` those of TensorFlow's old convert_to_records, in gzip.
"""

import os
import shutil
import sys
import tempfile

import tensorflow as tf
import tensorflow_datasets as tfds
from make import COUNTS, split

NAMES = {"train": "train", "valid": "validation", "test": "test"}


class Digits(tfds.core.GeneratorBasedBuilder):
    """The numbers of make.py."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(4, 4, 1)),
                    "label": tfds.features.ClassLabel(names=[f"digit {k}" for k in range(10)]),
                }
            ),
            supervised_keys=("image", "label"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {NAMES[name]: self._generate_examples(first, count) for name, first, count in COUNTS}

    def _generate_examples(self, first, count):
        images, labels = split(first, count)
        for k in range(count):
            yield k, {"image": images[k, :, :, None], "label": int(labels[k])}


def feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def records(path, numbers, options, example):
    with tf.io.TFRecordWriter(path, options) as writer:
        for image, label in zip(*numbers, strict=True):
            values = {key: feature(value) for key, value in example(image, int(label)).items()}
            whole = tf.train.Example(features=tf.train.Features(feature=values))
            writer.write(whole.SerializeToString(deterministic=True))


def slim(image, label):
    return {
        "image/encoded": tf.io.encode_png(image[:, :, None]).numpy(),
        "image/format": b"png",
        "image/class/label": label,
        "image/height": 4,
        "image/width": 4,
    }


def raw(image, label):
    return {"height": 4, "width": 4, "depth": 1, "label": label, "image_raw": image.tobytes()}


folder = os.path.join(sys.argv[1], "tfrecord")
for kind in ("slim", "raw"):
    os.makedirs(os.path.join(folder, kind))
with tempfile.TemporaryDirectory() as made:
    Digits(data_dir=made).download_and_prepare()
    shutil.copytree(os.path.join(made, "digits"), os.path.join(folder, "tfds", "digits"))
for name, first, count in COUNTS:
    numbers = split(first, count)
    records(os.path.join(folder, "slim", f"digits_{name}.tfrecord"), numbers, None, slim)
    path = os.path.join(folder, "raw", f"{NAMES[name]}.tfrecords.gz")
    records(path, numbers, tf.io.TFRecordOptions(compression_type="GZIP"), raw)
with open(os.path.join(folder, "slim", "labels.txt"), "w") as file:
    file.writelines(f"{k}:digit {k}\n" for k in range(10))

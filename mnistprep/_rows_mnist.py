"""Catalog row of MNIST.

Facts carry their origin in a comment:

tv      torchvision 0.29 torchvision/datasets/mnist.py
tfds    tensorflow-datasets 4.9.10 url_checksums/*.txt and image_classification/mnist.py
keras   keras 3.15 keras/src/datasets/{mnist,fashion_mnist}.py
real    computed from the digits themselves, which have the published SHA-256 sums
"""

from __future__ import annotations

from mnistprep._published import Content, IdxFile, Published, WholeFile
from mnistprep._stored import DIGITS
from mnistprep.dataset import Digest

MNIST = Published(
    name="mnist",
    title="MNIST",
    about="handwritten digits, the original",
    homepage="http://yann.lecun.com/exdb/mnist/",
    licence="CC-BY-SA-3.0",
    licence_note=(
        "Yann LeCun and Corinna Cortes hold the copyright, CC BY-SA 3.0, according to the Keras "
        "documentation; the Hugging Face card of ylecun/mnist says MIT. The authors' own page "
        "names no licence."
    ),
    # tfds
    citation=(
        "@article{lecun2010mnist, title={MNIST handwritten digit database}, "
        "author={LeCun, Yann and Cortes, Corinna and Burges, CJ}, "
        "journal={ATT Labs [Online]. Available: http://yann.lecun.com/exdb/mnist}, "
        "volume={2}, year={2010}}"
    ),
    classes=DIGITS,
    shape=(28, 28),
    splits={"train": 60000, "test": 10000},
    # real
    class_counts={
        "train": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        "test": (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    },
    mean=0.1306604762738429,  # real
    std=0.30810780385646264,  # real
    # tv; tfds; many downloaders. The authors' host is left out: it mostly answers 403 or 404.
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ),
    # packed: tv (MD5), tfds (size, SHA-256); plain: real
    files=(
        IdxFile(
            "train",
            "images",
            Content(
                "train-images-idx3-ubyte",
                47040016,
                "6bbc9ace898e44ae57da46a324031adb",
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            Content(
                "train-images-idx3-ubyte.gz",
                9912422,
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
        ),
        IdxFile(
            "train",
            "labels",
            Content(
                "train-labels-idx1-ubyte",
                60008,
                "a25bea736e30d166cdddb491f175f624",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            Content(
                "train-labels-idx1-ubyte.gz",
                28881,
                "d53e105ee54ea40749a09fcbcd1e9432",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
        ),
        IdxFile(
            "test",
            "images",
            Content(
                "t10k-images-idx3-ubyte",
                7840016,
                "2646ac647ad5339dbf082846283269ea",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            Content(
                "t10k-images-idx3-ubyte.gz",
                1648877,
                "9fb629c4189551a2d022fa330f9573f3",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
        ),
        IdxFile(
            "test",
            "labels",
            Content(
                "t10k-labels-idx1-ubyte",
                10008,
                "27ae3e4e09519cfbb04c329615203637",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
            Content(
                "t10k-labels-idx1-ubyte.gz",
                4542,
                "ec29112dd5afa0611ce80d1b7f02629c",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
    ),
    whole=(
        WholeFile(
            # keras (SHA-256); old keras (MD5); its progress line (size)
            Content(
                "mnist.npz",
                11490434,
                "8a61469f7ea1b51cbae51d4f78837e45",
                "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
            ),
            (
                "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
                "https://s3.amazonaws.com/img-datasets/mnist.npz",
            ),
        ),
        WholeFile(
            # MD5 as stated for the first host, now gone, and for the figshare copy
            Content("mnist.pkl.gz", 16168813, "a02cd19f81d51c426d7ca14024243ce9"),
            (
                "https://github.com/pytorch/tutorials/raw/main/_static/mnist.pkl.gz",
                "https://github.com/mnielsen/neural-networks-and-deep-learning/raw/master/data/mnist.pkl.gz",
                "https://figshare.com/ndownloader/files/25635053",
            ),
        ),
    ),
    # real; the pairs are the published sums of the plain files
    digests={
        "train": Digest(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "fb6dcc29140e5f3226aed7cae948e5e7d471775e786bba13e2a2225403339605",
        ),
        "test": Digest(
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            "8aa9a0667aff4b256304ee9329c29ad4bc30f3c12f816c1a1f0ab0f4c2eb9a5f",
        ),
    },
)

"""Catalog rows of QMNIST, Kuzushiji-49 and the Digit Recognizer competition.

Facts carry their origin in a comment:

tv      torchvision 0.29 torchvision/datasets/mnist.py
mila    github.com/datasets-mila git-annex keys (size and MD5)
pinned  a downloader that pins SHA-256 sums
vision  third-party wrappers of KMNIST, five of which agree
"""

from __future__ import annotations

from dataclasses import replace

from mnistprep._published import Content, IdxFile, Published
from mnistprep._stored import DIGITS, STORED

QMNIST = Published(
    name="qmnist",
    title="QMNIST",
    about="MNIST made again from NIST's files, with all 60,000 test digits",
    homepage="https://github.com/facebookresearch/qmnist",
    licence="BSD-3-Clause",
    licence_note="A BSD-style licence, in the LICENSE file of the repository.",
    # the repository's README
    citation=(
        "@incollection{qmnist-2019, title={Cold Case: The Lost MNIST Digits}, author={Chhavi Yadav "
        "and L\\'{e}on Bottou}, booktitle={Advances in Neural Information Processing Systems 32}, "
        "year={2019}, publisher={Curran Associates, Inc.}}"
    ),
    classes=DIGITS,
    shape=(28, 28),
    splits={"train": 60000, "test": 60000},
    mirrors=("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),  # tv
    # packed: tv (MD5), mila (size, MD5), pinned (SHA-256 of test); plain sizes: computed
    files=(
        IdxFile(
            "train",
            "images",
            Content("qmnist-train-images-idx3-ubyte", 47040016),
            Content(
                "qmnist-train-images-idx3-ubyte.gz", 9704059, "ed72d4157d28c017586c42bc6afe6370"
            ),
        ),
        IdxFile(
            "train",
            "labels",
            Content("qmnist-train-labels-idx2-int", 1920012),
            Content("qmnist-train-labels-idx2-int.gz", 463024, "0058f8dd561b90ffdd0f734c6a30e5e4"),
        ),
        IdxFile(
            "test",
            "images",
            Content("qmnist-test-images-idx3-ubyte", 47040016),
            Content(
                "qmnist-test-images-idx3-ubyte.gz",
                9742279,
                "1394631089c404de565df7b7aeaf9412",
                "43fc22bf7498b8fc98de98369d72f752d0deabc280a43a7bcc364ab19e57b375",
            ),
        ),
        IdxFile(
            "test",
            "labels",
            Content("qmnist-test-labels-idx2-int", 1920012),
            Content(
                "qmnist-test-labels-idx2-int.gz",
                526800,
                "5b5b05890a5e13444e108efe57b788aa",
                "9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06",
            ),
        ),
    ),
)

# The repository's README: the first 10,000 match MNIST's test digits one by one.
QMNIST_TEST10K = replace(
    QMNIST,
    name="qmnist-test10k",
    title="QMNIST test10k",
    about="the 10,000 test digits of QMNIST that match MNIST's",
    splits={"test": 10000},
    files=QMNIST.files[2:],
    folder="qmnist",
    slices={"test": (0, 10000)},
)
QMNIST_TEST50K = replace(
    QMNIST_TEST10K,
    name="qmnist-test50k",
    title="QMNIST test50k",
    about="the 50,000 test digits that MNIST does not have",
    splits={"test": 50000},
    slices={"test": (10000, 60000)},
)
QMNIST_NIST = replace(
    QMNIST,
    name="qmnist-nist",
    title="QMNIST nist",
    about="all 402,953 digits of NIST's files, as one split",
    splits={"train": 402953},
    # tv (MD5), mila (size, MD5)
    files=(
        IdxFile(
            "train",
            "images",
            Content("xnist-images-idx3-ubyte", 315915168),
            Content("xnist-images-idx3-ubyte.xz", 51325860, "7f124b3b8ab81486c9d8c2749c17f834"),
        ),
        IdxFile(
            "train",
            "labels",
            Content("xnist-labels-idx2-int", 12894508),
            Content("xnist-labels-idx2-int.xz", 958144, "5ed0e788978e45d4a8bd4b7caec3d79d"),
        ),
    ),
)


def _archive(split: str, role: str, name: str, size: int, md5: str) -> IdxFile:
    """A file that is published as it is used."""
    return IdxFile(split, role, Content(name, size, md5), Content(name, size, md5))


K49 = Published(
    name="k49",
    title="Kuzushiji-49",
    about="cursive Japanese: 48 characters of hiragana and an iteration mark, unbalanced",
    homepage="https://github.com/rois-codh/kmnist",
    licence="CC-BY-SA-4.0",
    licence_note=(
        '"KMNIST Dataset" (created by CODH), adapted from "Kuzushiji Dataset" (created by NIJL '
        "and others), doi:10.20676/00000341."
    ),
    # the repository's README
    citation=(
        "@online{clanuwat2018deep, title={Deep Learning for Classical Japanese Literature}, "
        "author={Clanuwat, Tarin and Bober-Irizar, Mikel and Kitamoto, Asanobu and Lamb, Alex and "
        "Yamamoto, Kazuaki and Ha, David}, eprint={cs.CV/1812.01718}, eprinttype={arXiv}, "
        "year={2018}}"
    ),
    classes=STORED["k49"].classes,  # vision; other sources spell some of them otherwise
    least_accuracy=0.75,  # not measured; under the 0.8601 (balanced) published for 4-NN
    shape=(28, 28),
    splits={"train": 232365, "test": 38547},  # the repository's README
    mirrors=("https://codh.rois.ac.jp/kmnist/dataset/k49/",),  # vision has it as plain http
    # vision (MD5), mila (size, MD5)
    files=(
        _archive(
            "train",
            "images",
            "k49-train-imgs.npz",
            66117696,
            "7ac088b20481cf51dcd01ceaab89d821",
        ),
        _archive(
            "train", "labels", "k49-train-labels.npz", 164485, "44a8e1b893f81e63ff38d73cad420f7a"
        ),
        _archive(
            "test", "images", "k49-test-imgs.npz", 10971201, "d352e201d846ce6b94f42c990966f374"
        ),
        _archive(
            "test", "labels", "k49-test-labels.npz", 27450, "4da6f7a62e67a832d5eb1bd85c5ee448"
        ),
    ),
    form="npz",
)

DIGIT_RECOGNIZER = Published(
    name="digit-recognizer",
    title="Digit Recognizer",
    about="MNIST's digits as Kaggle's beginners' competition splits them; the test has no labels",
    homepage="https://www.kaggle.com/c/digit-recognizer",
    licence="as MNIST's",
    licence_note="The competition's page says that its data were taken from MNIST.",
    citation="",
    classes=DIGITS,
    shape=(28, 28),
    splits={"train": 42000, "test": 28000},
    by_hand=(
        "sign in at https://www.kaggle.com/c/digit-recognizer/data, download train.csv and give "
        "its path where a path is asked for"
    ),
)

FAMILY = (QMNIST, QMNIST_TEST10K, QMNIST_TEST50K, QMNIST_NIST, K49, DIGIT_RECOGNIZER)

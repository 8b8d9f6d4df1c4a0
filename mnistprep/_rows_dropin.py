"""Catalog rows of the drop-in replacements of MNIST.

Facts carry their origin in a comment:

tv      torchvision 0.29 torchvision/datasets/mnist.py
tfds    tensorflow-datasets 4.9.10 url_checksums/*.txt and image_classification/mnist.py
keras   keras 3.15 keras/src/datasets/{mnist,fashion_mnist}.py
mila    github.com/datasets-mila git-annex keys (size and MD5)
"""

from __future__ import annotations

from mnistprep._published import Content, IdxFile, Published
from mnistprep._stored import STORED

FASHION_MNIST = Published(
    name="fashion-mnist",
    title="Fashion-MNIST",
    about="Zalando's articles of clothing",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    licence_note="Copyright Zalando SE; the LICENSE file of the repository.",
    # tfds
    citation=(
        "@article{xiao2017fashion, title={Fashion-MNIST: a Novel Image Dataset for Benchmarking "
        "Machine Learning Algorithms}, author={Xiao, Han and Rasul, Kashif and Vollgraf, Roland}, "
        "journal={arXiv:1708.07747}, year={2017}}"
    ),
    # the repository's README; tv
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    least_accuracy=0.80,  # not measured; well under the 0.876 published for two convolutions
    shape=(28, 28),
    splits={"train": 60000, "test": 10000},
    class_counts={"train": (6000,) * 10, "test": (1000,) * 10},  # arXiv:1708.07747
    # As commonly published, e.g. github.com/chatflip/CalculationMeanStd; not recomputed.
    mean=0.2860,
    std=0.3530,
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",  # keras
    ),
    # packed: tv and README (MD5), tfds (size, SHA-256); plain: mila, and several lists of MD5
    files=(
        IdxFile(
            "train",
            "images",
            Content("train-images-idx3-ubyte", 47040016, "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
            Content(
                "train-images-idx3-ubyte.gz",
                26421880,
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
        ),
        IdxFile(
            "train",
            "labels",
            Content("train-labels-idx1-ubyte", 60008, "9018921c3c673c538a1fc5bad174d6f9"),
            Content(
                "train-labels-idx1-ubyte.gz",
                29515,
                "25c81989df183df01b3e8a0aad5dffbe",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
        ),
        IdxFile(
            "test",
            "images",
            Content("t10k-images-idx3-ubyte", 7840016, "8181f5470baa50b63fa0f6fddb340f0a"),
            Content(
                "t10k-images-idx3-ubyte.gz",
                4422102,
                "bef4ecab320f06d8554ea6380940ec79",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
        ),
        IdxFile(
            "test",
            "labels",
            Content("t10k-labels-idx1-ubyte", 10008, "15d484375f8d13e6eb1aabb0c3f46965"),
            Content(
                "t10k-labels-idx1-ubyte.gz",
                5148,
                "bb300cfdad3c16e7a12a480ee83cd310",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    ),
    # Connor Olding's "mnists" (2018) lists these sums for the same four names.
    earlier=(
        Content(
            "train-images-idx3-ubyte.gz",
            sha256="08dc20ab1689590a0bcd66e874647b6ee8464e2d501b5a3f1f78831db19a3fdc",
        ),
        Content(
            "train-labels-idx1-ubyte.gz",
            sha256="b0197879cbda89f3dc7b894f9fd52b858e68ea4182b6947c9d8c2b67e5f18dcc",
        ),
        Content(
            "t10k-images-idx3-ubyte.gz",
            sha256="78dcbbfb5a27efaf1b6c1d616caca68560be8766c5bffcb2791df9273a534229",
        ),
        Content(
            "t10k-labels-idx1-ubyte.gz",
            sha256="42bd18137a62d5998cdeae52bf3a0676ac6b706f5cf8439b47bb5b151ae3dccf",
        ),
    ),
)

KMNIST = Published(
    name="kmnist",
    title="KMNIST",
    about="Kuzushiji-MNIST: cursive Japanese, one character per row of hiragana",
    homepage="https://codh.rois.ac.jp/kmnist/index.html.en",
    licence="CC-BY-SA-4.0",
    licence_note=(
        '"KMNIST Dataset" (created by CODH), adapted from "Kuzushiji Dataset" (created by NIJL '
        "and others), doi:10.20676/00000341."
    ),
    # tfds; the repository's README
    citation=(
        "@online{clanuwat2018deep, title={Deep Learning for Classical Japanese Literature}, "
        "author={Clanuwat, Tarin and Bober-Irizar, Mikel and Kitamoto, Asanobu and Lamb, Alex and "
        "Yamamoto, Kazuaki and Ha, David}, eprint={cs.CV/1812.01718}, eprinttype={arXiv}, "
        "year={2018}}"
    ),
    classes=STORED["kmnist"].classes,  # tv
    least_accuracy=0.85,  # not measured; well under the 0.951 published for a simple CNN
    shape=(28, 28),
    splits={"train": 60000, "test": 10000},
    class_counts={"train": (6000,) * 10, "test": (1000,) * 10},  # the repository's README
    # As commonly published (a few copies have 0.3059 as the deviation); not recomputed.
    mean=0.1918,
    std=0.3483,
    mirrors=(
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",  # tv and tfds have it as plain http
        # A pinned copy: the files have the published sizes, and the digests decide as ever.
        "https://huggingface.co/datasets/tanganke/kmnist/resolve/756d43e894032ce8838db8b32e7500c9c3b5d050/raw/",
    ),
    # packed: tv (MD5), tfds (size, SHA-256); plain: mila
    files=(
        IdxFile(
            "train",
            "images",
            Content("train-images-idx3-ubyte", 47040016, "92be26ec9822e900ac425d0a0aa84ced"),
            Content(
                "train-images-idx3-ubyte.gz",
                18165135,
                "bdb82020997e1d708af4cf47b453dcf7",
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            ),
        ),
        IdxFile(
            "train",
            "labels",
            Content("train-labels-idx1-ubyte", 60008, "949e75301f8813e0dc5800dcc320fc52"),
            Content(
                "train-labels-idx1-ubyte.gz",
                29497,
                "e144d726b3acfaa3e44228e80efcd344",
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            ),
        ),
        IdxFile(
            "test",
            "images",
            Content("t10k-images-idx3-ubyte", 7840016, "bf305b8cd328700fbc17f5acbc2856d2"),
            Content(
                "t10k-images-idx3-ubyte.gz",
                3041136,
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            ),
        ),
        IdxFile(
            "test",
            "labels",
            Content("t10k-labels-idx1-ubyte", 10008, "9f55f451c0988b028eccdf7d5cc265ab"),
            Content(
                "t10k-labels-idx1-ubyte.gz",
                5120,
                "7320c461ea6c1c855c0b718fb2a4b134",
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            ),
        ),
    ),
)

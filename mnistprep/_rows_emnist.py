"""Catalog rows of EMNIST: six arrangements of NIST's handwritten characters, out of one zip.

Facts carry their origin in a comment:

tv      torchvision 0.29 torchvision/datasets/mnist.py
tfds    tensorflow-datasets 4.9.10 url_checksums/*.txt and image_classification/mnist.py
mnists  Connor Olding's "mnists" (MIT), a list of SHA-256 sums of the members
other   a second downloader, which pinned members after the zip's own checksums were right
plain   a third, with SHA-256 sums of the uncompressed files of `digits`
"""

from __future__ import annotations

from mnistprep._published import Archive, Content, IdxFile, Published
from mnistprep._stored import STORED

_ARCHIVE = Archive(
    # tv (MD5); tfds (SHA-256, size), and six other downloaders
    Content(
        "gzip.zip",
        561753746,
        "58c8d27c78d21e728a6bc7b3cc06412e",
        "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
    ),
    # tv; the older place at www.itl.nist.gov, which tfds calls broken, is left out
    ("https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",),
)

# SHA-256 of the compressed members: pictures and labels of train, then of test. mnists; those of
# balanced, letters, digits and mnist for training, and all of letters, `other` too.
_PACKED = {
    "byclass": (
        "9e21987f03a6eb8b870187e785883ddad96947299587908f1a7ec2ca0f4be5f0",
        "f7ef403d48dc18a89dae0d83d11ee69cecb6e1c12c3a961d03712e495c02a8fa",
        "5ec835bd5d5b1a66378a132e727fef20fe994b3cc666899befcca5ac766f50cd",
        "501e305eeeacb093b162592d80e8a2632040872360fa6d85cfcb2200d91ca92a",
    ),
    "bymerge": (
        "39bf8c68037dad40db35348895f7e4e056e8c0a005ab78869c9fbc2c96e947be",
        "2c47293b9e62d6abf6ad05fbf67e40baa32adfd380b8d7b44dcc35534b64e1f1",
        "5e5815ec1b522089134435f7c55e75a00960b58414793593ffff23efc0821683",
        "8bda1516255683ba9071e141947ca0c91a911176065cdd6259b0b4d8dc5b5f35",
    ),
    "balanced": (
        "74295e75e4e9fa2c102147460ee7eb763653d5132d883a84fb88932bfb8d2db4",
        "b46d41e5156a0a8aaaa4d18979fdd1588850fa8571018acffd5d93b325a7d6ed",
        "117fc12b015e37ea98bfb2cbba3f77c3782c056cdbd219b87abfc8661d7135db",
        "a67cac948379b67270b9a4d0a01c8ec661598accf2f2b1964340b7c83cb175cd",
    ),
    "letters": (
        "6288f418a917e007bf5fddb823a2dc7a5c6a35031401b93292a539cb12bd881f",
        "9759af91ea6bccdf07a6040fd085861f2ec88e37f7c3f5760f6feb57106fbe5c",
        "50f0e93d75b99b463e9760b8345866f22587fa2c2fba472730a5ba09c693412d",
        "924955c31fe7fd809b7303b5c0141282955f4b8390c74cdfd5d80435e0f4b4cb",
    ),
    "digits": (
        "f7c95004d14d81af89522e67d8f0c781dfb3bd544181c81bfe1eb6b41c35b726",
        "6638a6ff5fe2eefd9cca2471995b46c82986b8e4b2a70d2f5ce8e05d7edb319e",
        "20ebe43509264f7639d37c835a3f0b009e90b29e00a099a03101abe1644a3f63",
        "bad1834c45d5988e270b99d43b13edc3fd898f658ffbc2caf2846ef27f7b05b0",
    ),
    "mnist": (
        "5f9942f441031c0f1f2e4d162059fd6e19ea808b34c328b6d16cab0ed24c78f2",
        "00c6d3c2342fdffb1711e0b5656cac4ce5862d2826399d383a9bac07d612e9f8",
        "b25640fa9e356c618132f5df347c95ef5bae6d9c2596be1de40f7e0ae1c3eac6",
        "bcc5385d38f083dba046f5f756e99b32f5ea7fad122c6243c71c2239873065ca",
    ),
}
# SHA-256 of the same files uncompressed. plain
_PLAIN = {
    "digits": (
        "0fd17ca7bc21f8a10f68356f3c60e9c36ef287895394791ecd051c7a15ea4acd",
        "86013a4b932e35477a90ecff239cf492643795cf3c68dd6b7fae3264fb24316b",
        "3075fed46264a655192bd2ac1dafba8ce0c5184802d74acd0a123e25daa15c50",
        "a456cc5cfc928851403b513f94937b9d7570f424ea6d56dce3b28f6c0723608a",
    ),
}
_FILES = (("train", "images"), ("train", "labels"), ("test", "images"), ("test", "labels"))


def _row(part: str, about: str, train: int, test: int, least_accuracy: float) -> Published:
    counts = {"train": train, "test": test}
    files = []
    for at, (split, role) in enumerate(_FILES):
        kind, start, each = ("idx3", 16, 28 * 28) if role == "images" else ("idx1", 8, 1)
        name = f"emnist-{part}-{split}-{role}-{kind}-ubyte"
        plain = _PLAIN[part][at] if part in _PLAIN else None
        files.append(
            IdxFile(
                split,
                role,
                Content(name, start + each * counts[split], sha256=plain),
                Content(f"{name}.gz", sha256=_PACKED[part][at]),
                member=f"gzip/{name}.gz",
            )
        )
    return Published(
        name=f"emnist-{part}",
        title=f"EMNIST {part}",
        about=about,
        homepage="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        licence="none stated",
        licence_note=(
            "NIST's page names no licence; the set is derived from NIST Special Database 19."
        ),
        # tfds
        citation=(
            "@article{cohen_afshar_tapson_schaik_2017, title={EMNIST: Extending MNIST to "
            "handwritten letters}, DOI={10.1109/ijcnn.2017.7966217}, journal={2017 International "
            "Joint Conference on Neural Networks (IJCNN)}, author={Cohen, Gregory and Afshar, "
            "Saeed and Tapson, Jonathan and Schaik, Andre Van}, year={2017}}"
        ),
        classes=STORED[f"emnist-{part}"].classes,
        shape=(28, 28),
        splits=counts,
        files=tuple(files),
        archive=_ARCHIVE,
        least_accuracy=least_accuracy,
    )


# Sizes as in tfds and the headers of the files; of letters, tfds has those of the paper, 88,800 and
# 14,800, while the files hold more. The shares for a verification are not measured; they are about
# what the paper has for a linear classifier.
EMNIST = (
    _row("byclass", "digits, capital and small letters in 62 classes", 697932, 116323, 0.50),
    _row("bymerge", "the same, with letters alike in both cases merged", 697932, 116323, 0.50),
    _row("balanced", "47 classes with the same number of characters each", 112800, 18800, 0.50),
    _row("letters", "26 letters, capital and small ones in one class", 124800, 20800, 0.55),
    _row("digits", "handwritten digits, 28,000 of each", 240000, 40000, 0.85),
    _row("mnist", "as many digits as MNIST has; not MNIST", 60000, 10000, 0.85),
)

"""mnistprep predict."""

from __future__ import annotations

from pathlib import Path

import click

from mnistprep.cli import _shared


@click.command(
    "predict",
    epilog="\b\nExamples:\n"
    "  mnistprep predict model.pt drawing.png\n"
    "  mnistprep predict model.pt photograph.jpg --show seen.png\n"
    "  mnistprep predict mnist.pth mnist_images/test/7/*.png --json\n"
    "  mnistprep predict fashion.pt shirt.png --as-is",
)
@click.argument("model", type=_shared.EXISTING)
@click.argument("images", nargs=-1, required=True, type=_shared.EXISTING, metavar="IMAGE...")
@click.option(
    "--show", type=_shared.TARGET,
    help="A PNG file to write what the model saw to, the pictures side by side.",
)  # fmt: skip
@click.option(
    "--as-is", is_flag=True,
    help="The pictures have the model's size and form; leave them as they are.",
)  # fmt: skip
@click.option("--recipe", help="What a bare state dict is a model of, if unclear.")
@_shared.device
@_shared.max_bytes
@_shared.overwrite
@_shared.output
def command(
    model: Path,
    images: tuple[Path, ...],
    show: Path | None,
    as_is: bool,
    recipe: str | None,
    device: str,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say what digit each IMAGE shows.

    IMAGE is any picture: a PNG of a tree, a photograph of a digit on paper, a drawing of any size.
    It is brought into the form of MNIST's pictures first.
    """
    import numpy as np

    from mnistprep import _png
    from mnistprep._files import atomic_path, refuse_existing
    from mnistprep.prediction import predict

    console = _shared.Console(quiet=quiet, as_json=as_json)
    if show is not None:
        if show.suffix.lower() != ".png":
            raise click.UsageError(f"{show}: --show writes a PNG; give a name that ends in .png")
        refuse_existing(show, overwrite=overwrite, sources=[model, *images])
    found = predict(model, images, as_is=as_is, recipe=recipe, device=device, progress=console)
    if show is not None:
        seen = np.concatenate([prediction.picture for prediction in found], axis=1)
        with atomic_path(show, overwrite=overwrite) as staging:
            staging.write_bytes(next(_png.encode(seen[np.newaxis])))
    console.finish(
        "\n".join(map(str, found)),
        {"predictions": [prediction.to_json() for prediction in found]},
        always=True,
    )

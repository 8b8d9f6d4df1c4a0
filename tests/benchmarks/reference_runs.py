"""The five reference recipes in full, with several seeds, against the published figures.

    python tests/benchmarks/reference_runs.py PATH [--seeds 3] [--recipe mlp]... [--epochs N]

PATH is a dataset in any readable form, such as the folder with the four MNIST files. One line per
run, then a table in Markdown: accuracy on the test digits and seconds from array to model. For
mlp2, whose validation loss after each epoch is published, the largest distance from that list, and
the distance at its end. Exit code 1 when a run misses its figure; with --epochs none is expected.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import mnistprep
from mnistprep.training import RECIPES, accuracy

LEAST = {"mlp": 0.976, "lenet5": 0.98, "cnn": 0.986, "numpy": 0.97}
LOSSES = (
    2.2796, 2.2441, 2.1890, 2.0985, 1.9517, 1.7342, 1.4720, 1.2274, 1.0362, 0.8964, 0.7927, 0.7141,
    0.6529, 0.6042, 0.5643, 0.5318, 0.5048, 0.4814, 0.4619, 0.4443, 0.4297, 0.4170, 0.4063, 0.3963,
    0.3873,
)  # fmt: skip
ANYWHERE, AT_THE_END = 0.06, 0.03  # how far seeds may be from that list


def main() -> None:
    """Run each recipe with each seed and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipe", action="append", choices=[*LEAST, "mlp2"])
    parser.add_argument("--epochs", type=int)
    chosen = parser.parse_args()
    dataset = mnistprep.read(chosen.path).joined()
    names = chosen.recipe or [name for name in RECIPES if name != "fast"]
    table, missed = [], False
    for name in names:
        shares, seconds = [], []
        for seed in range(chosen.seeds):
            trained = mnistprep.train(dataset, recipe=name, seed=seed, epochs=chosen.epochs)
            shares.append(accuracy(trained, dataset.splits["test"]))
            seconds.append(trained.seconds or 0.0)
            line = f"{name:7} seed {seed}: {shares[-1]:.4f} in {seconds[-1]:.1f} s"
            if name == "mlp2":
                pairs = zip(trained.history, LOSSES, strict=chosen.epochs is None)
                far = [abs((epoch.valid_loss or 0) - loss) for epoch, loss in pairs]
                line += (
                    f"; validation loss within {max(far):.4f} of the list, at the end {far[-1]:.4f}"
                )
                reached = max(far) <= ANYWHERE and far[-1] <= AT_THE_END
            else:
                reached = shares[-1] >= LEAST[name]
            missed |= chosen.epochs is None and not reached
            print(line, flush=True)
        row = [f"`{name}`", *(f"{share:.2%}" for share in shares)]
        table.append(" | ".join([*row, f"{sum(seconds) / len(seconds):.0f} s"]))
    heads = ["Recipe", *(f"Seed {seed}" for seed in range(chosen.seeds)), "Time"]
    print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    print("\n".join(f"| {row} |" for row in table))
    sys.exit(missed)


if __name__ == "__main__":
    main()

"""Accuracy and seconds of many seeds of a recipe.

    python tests/benchmarks/fast_seeds.py PATH [--recipe fast] [--seeds 30] [--first 0] [--device D]

PATH is a dataset in any readable form, such as the folder with the four MNIST files. One line per
seed, then least, mean and largest. CPU seconds count all threads, and do not depend on what else
the machine is doing; seconds do.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean
from time import process_time

import mnistprep
from mnistprep.training import accuracy, fit


def main() -> None:
    """Train with each seed, print a line for it, and the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    dataset = mnistprep.read(chosen.path).joined()
    train, test = dataset.splits["train"], dataset.splits["test"]
    rows = []
    print("seed  accuracy %  seconds  CPU seconds")
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        before = process_time()
        trained = fit(
            train,
            classes=len(dataset.classes),
            recipe=chosen.recipe,
            seed=seed,
            device=chosen.device,
        )
        used = process_time() - before
        rows.append((100 * accuracy(trained, test), trained.seconds, used))
        print(f"{seed:4}  {rows[-1][0]:10.2f}  {rows[-1][1]:7.2f}  {used:11.2f}", flush=True)
    for name, summary in (("min", min), ("mean", mean), ("max", max)):
        figures = [summary(column) for column in zip(*rows, strict=True)]
        print(f"{name:>4}  {figures[0]:10.2f}  {figures[1]:7.2f}  {figures[2]:11.2f}")


if __name__ == "__main__":
    main()

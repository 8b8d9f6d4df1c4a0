"""Training: `fast`, alone and from files to a verdict, against the ways of walk-throughs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.cases import OURS, Case, Contender, Figure, Told
from benchmarks.given import Given, program
from benchmarks.pictures import floats, torchvision_datasets

BATCH, EPOCHS = 64, 10  # of the walk-through
_MORE = 4  # epochs of `fast` that take it to 99 %


def _fast(device: str, epochs: int | None = None, *, warm: bool = False) -> Any:
    """mnistprep's recipe on arrays; warm: once before the clock starts, in the same process."""

    def setup(given: Given) -> Callable[[], Told]:
        from mnistprep.training import accuracy, fit

        dataset = given.dataset()

        def run() -> Told:
            trained = fit(
                dataset.splits["train"], classes=10, recipe="fast", device=device, epochs=epochs
            )
            assert trained.seconds is not None
            share = accuracy(trained, dataset.splits["test"])
            return Told(training_seconds=trained.seconds, accuracy=share)

        if warm:
            run()
        return run

    return setup


def _plain(epochs: int, *, warm: bool = False) -> Any:
    """The net of `fast`, its optimiser, rates and batches in PyTorch alone, floats on the GPU."""

    def setup(given: Given) -> Callable[[], Told]:
        from time import perf_counter

        import torch
        from torch import nn

        arrays = {name: given.arrays(name) for name in ("train", "test")}

        def run() -> Told:
            began = perf_counter()
            (images, labels), (unseen, truth) = (
                (floats(x).sub_(0.1307).div_(0.3081).cuda(), torch.from_numpy(y).cuda())
                for x, y in arrays.values()
            )
            model = nn.Sequential(
                nn.Conv2d(1, 16, 7, stride=4, padding=3), nn.ReLU(),
                nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
                nn.Flatten(), nn.LazyLinear(64), nn.ReLU(), nn.Linear(64, 10),
            ).cuda()  # fmt: skip
            model(images[:1])
            optimiser = torch.optim.Adam(model.parameters(), 1e-2, (0.9, 0.95), fused=True)
            steps = epochs * -(-len(labels) // 128)
            cycle = torch.optim.lr_scheduler.OneCycleLR(
                optimiser, 1e-2, total_steps=steps, pct_start=0.2, anneal_strategy="linear",
                cycle_momentum=False,
            )  # fmt: skip
            loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
            for _ in range(epochs):
                for part in torch.randperm(len(labels), device="cuda").split(128):
                    optimiser.zero_grad()
                    with torch.autocast("cuda", torch.bfloat16):
                        loss = loss_of(model(images[part]), labels[part])
                    loss.backward()
                    optimiser.step()
                    cycle.step()
            torch.cuda.synchronize()
            seconds = perf_counter() - began
            with torch.no_grad():
                share = (model(unseen).argmax(1) == truth).float().mean().item()
            return Told(training_seconds=seconds, accuracy=share)

        if warm:
            run()
        return run

    return setup


def _walk_through(given: Given) -> Callable[[], Told]:
    """Two linear layers, ten epochs through ImageFolder, then the test pictures: all is timed."""
    epochs = 1 if given.short else EPOCHS

    def run() -> Told:
        import torch
        from torch import nn
        from torch.utils.data import DataLoader

        datasets = torchvision_datasets()
        from torchvision import transforms

        transform = transforms.Compose([transforms.Grayscale(1), transforms.ToTensor()])
        train, test = (
            datasets.ImageFolder(given.made("imagefolder") / name, transform)
            for name in ("train", "test")
        )
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
        optimiser, loss_of = torch.optim.Adam(model.parameters()), nn.CrossEntropyLoss()
        for _ in range(epochs):
            for images, labels in DataLoader(train, BATCH, shuffle=True):
                optimiser.zero_grad()
                loss_of(model(images), labels).backward()
                optimiser.step()
        right = 0
        with torch.no_grad():
            for images, labels in DataLoader(test, BATCH):
                right += int((model(images).argmax(1) == labels).sum())
        return Told(accuracy=right / len(test))

    return run


def _train_command(given: Given) -> list[str]:
    tree, model = str(given.made("imagefolder")), str(given.out / "model.pt")
    return program("train", "--recipe", "fast", "--input", tree, "--output", model, "--json")


def _train_output(text: str) -> Told:
    told = json.loads(text)
    return Told(training_seconds=told["seconds"], accuracy=told["accuracy"])


_CUDA = ("torch", "cuda")
CASES = (
    Case(
        "fast, from arrays to a model",
        (Contender(OURS, _fast("cpu"), role="ours", needs=("torch",), rounds=3),),
        (
            Figure(measure="training_seconds", most=5),
            Figure(measure="accuracy", least=0.98),
        ),
        pictures=(),
    ),
    Case(
        "from a tree of files to the share of test digits that come out right",
        (
            Contender(
                OURS, command=_train_command, tells=_train_output, role="ours", needs=("torch",),
                rounds=3,
            ),
            Contender(
                "floor: Python importing PyTorch and what its optimisers import",
                command=lambda given: [sys.executable, "-c", "import torch, torch._dynamo"],
                role="floor", needs=("torch",),
            ),
            Contender(
                "ten epochs through ImageFolder + DataLoader", _walk_through,
                needs=("torchvision",), rounds=1,
            ),
        ),
        (
            Figure("ten epochs through ImageFolder + DataLoader", least=40),
            Figure(measure="accuracy", least=0.98),
        ),
        inputs=("imagefolder",),
        pictures=(),
    ),
    *(
        Case(
            f"to {share} on a GPU, {'warm' if warm else 'from a cold start'}",
            (
                Contender(OURS, _fast("cuda", epochs, warm=warm), role="ours", needs=_CUDA),
                Contender("plain PyTorch", _plain(epochs or 1, warm=warm), needs=_CUDA),
            ),
            pictures=(),
        )
        for share, epochs in (("98 %", None), ("99 %", _MORE))
        for warm in (False, True)
    ),
)  # fmt: skip

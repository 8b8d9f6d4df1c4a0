"""Models of the recipes: each builder takes the shape of a picture and the number of classes.

A model maps float32 pictures (B, C, H, W) to one score per class, (B, classes); no softmax, which
is part of the loss. Weights start as PyTorch starts them. `strided_pair` and the linear ones take
pictures of any size, down to 1x1; `lenet5` needs 16x16, `two_convolutions` 4x4.
"""

from __future__ import annotations

from math import prod

from torch import nn

from mnistprep.errors import UnsupportedError

Shape = tuple[int, ...]


def planes(shape: Shape) -> tuple[int, int, int]:
    """(C, H, W) of pictures whose shape is (H, W) or (H, W, C)."""
    height, width, channels = (*shape, 1)[:3]
    return channels, height, width


def one_hidden(shape: Shape, classes: int) -> nn.Sequential:
    """Flatten, linear 256, ReLU, linear: 203,530 parameters for 28x28 pictures."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(prod(shape), 256),
        nn.ReLU(),
        nn.Linear(256, classes),
    )


def two_hidden(shape: Shape, classes: int) -> nn.Sequential:
    """Flatten, linear 128, ReLU, linear 256, ReLU, linear: 136,074 parameters for 28x28."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(prod(shape), 128),
        nn.ReLU(),
        nn.Linear(128, 256),
        nn.ReLU(),
        nn.Linear(256, classes),
    )


def lenet5(shape: Shape, classes: int) -> nn.Sequential:
    """LeNet-5 with ReLU, an average and a maximum pooling: 44,426 parameters for 28x28.

    Conv 6 5x5, ReLU, average 2; conv 16 5x5, ReLU, maximum 2; flatten (256), linear 120, ReLU, 84,
    ReLU, linear. On the way 6x24x24, 6x12x12, 16x8x8, 16x4x4. After Y. LeCun, L. Bottou, Y. Bengio
    and P. Haffner, "Gradient-based learning applied to document recognition" (1998).
    """
    channels, *sides = planes(shape)
    rows, columns = (((side - 4) // 2 - 4) // 2 for side in sides)
    _check_size("lenet5", shape, min(rows, columns), "16x16")
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * rows * columns, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, classes),
    )


def two_convolutions(shape: Shape, classes: int) -> nn.Sequential:
    """Two padded convolutions with maximum pooling, one linear layer: 28,938 parameters for 28x28.

    Conv 16 5x5, ReLU, maximum 2; conv 32 5x5, ReLU, maximum 2; flatten (32x7x7), linear.
    """
    channels, height, width = planes(shape)
    rows, columns = height // 4, width // 4
    _check_size("cnn", shape, min(rows, columns), "4x4")
    return nn.Sequential(
        nn.Conv2d(channels, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * rows * columns, classes),
    )


def strided_pair(shape: Shape, classes: int) -> nn.Sequential:
    """Two convolutions and two linear layers; the first convolution does the scaling down.

    Conv 16 7x7 stride 4, ReLU, conv 16 3x3, ReLU, flatten, linear 64, ReLU, linear: 54,010
    parameters for 28x28 pictures, which the first layer takes to 7x7 positions.
    """
    channels, height, width = planes(shape)
    positions = -(-height // 4) * -(-width // 4)  # padded by 3, a side shrinks to a fourth, upward
    return nn.Sequential(
        nn.Conv2d(channels, 16, 7, stride=4, padding=3),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * positions, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def _check_size(recipe: str, shape: Shape, left: int, least: str) -> None:
    if left < 1:
        raise UnsupportedError(
            f"{recipe} needs pictures of at least {least}, these are {shape[0]}x{shape[1]}; "
            "mlp and fast take any size"
        )

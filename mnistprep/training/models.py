"""Models of the recipes: each builder takes the shape of a picture and the number of classes.

A model maps float32 pictures (B, C, H, W) to one score per class, (B, classes); no softmax, which
is part of the loss. Any size of picture goes, down to 1x1.
"""

from __future__ import annotations

from torch import nn

Shape = tuple[int, ...]


def planes(shape: Shape) -> tuple[int, int, int]:
    """(C, H, W) of pictures whose shape is (H, W) or (H, W, C)."""
    height, width, channels = (*shape, 1)[:3]
    return channels, height, width


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

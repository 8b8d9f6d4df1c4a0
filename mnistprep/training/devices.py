"""Where to compute: the device a person names, or the best there is."""

from __future__ import annotations

import torch

from mnistprep.errors import UsageError


def choose(name: str | torch.device = "auto") -> torch.device:
    """The device of that name: auto, cpu, cuda, cuda:N or mps; auto takes CUDA, MPS, then CPU.

    Raises UsageError for anything else, and for a device that this machine does not have; the
    message lists those it has.
    """
    there = available()
    if name == "auto":
        return torch.device(there[0])
    known = [*there, *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if str(name) not in known and str(name).removesuffix(":0") not in there:
        raise UsageError(f"no device {str(name)!r} here; there is auto, {', '.join(known)}")
    return torch.device(name)


def available() -> list[str]:
    """Kinds of device on this machine, fastest first; `cpu` is always the last."""
    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether the device is a GPU with bfloat16 units (NVIDIA: compute capability 8.0 or more)."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)

"""One run in several processes, as torchrun starts them: who this one is, and what it adds up."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnistprep.errors import MnistprepError, UsageError

if TYPE_CHECKING:
    import torch


_BROKEN = re.compile("gloo|nccl|connection|socket|timed out", re.IGNORECASE)


@dataclass(frozen=True)
class World:
    """The processes of a run; this is number `rank` of `count`, and `local` on its machine."""

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def share(self, batch: torch.Tensor) -> torch.Tensor:
        """What this process learns from; none of a batch too small for all."""
        return batch if self.count == 1 else batch[self.rank :: self.count]

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of what every process has."""
        if self.count > 1:
            import torch.distributed

            value = value.clone()
            torch.distributed.all_reduce(value)
        return value


ALONE = World()


def launched() -> World:
    """What torchrun told this process, by RANK, WORLD_SIZE and LOCAL_RANK; ALONE without it."""
    try:
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count <= 1:
            return ALONE
        rank, local, port = (int(os.environ[key]) for key in ("RANK", "LOCAL_RANK", "MASTER_PORT"))
        if not 0 <= rank < count or port < 1 or not os.environ["MASTER_ADDR"]:
            raise ValueError
        return World(rank, count, local)
    except (KeyError, ValueError):
        raise UsageError(
            "WORLD_SIZE is set, but not all that torchrun sets (RANK, LOCAL_RANK, MASTER_ADDR, "
            "MASTER_PORT): start the processes by torchrun, or unset it for one process"
        ) from None


@contextmanager
def joined(world: World, device: torch.device) -> Iterator[None]:
    """The process group of a run: NCCL between GPUs, gloo between CPUs; none for one process."""
    if world.count == 1:
        yield
        return
    import torch.distributed

    if torch.distributed.is_initialized():  # the caller's own
        yield
        return
    try:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        yield
    except RuntimeError as error:  # what PyTorch raises when a connection breaks
        if not _BROKEN.search(str(error)):
            raise
        raise MnistprepError(
            "another process of this run failed or went away; its own message says why"
        ) from None
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

"""Several processes of torchrun that train one network: ranks, work of the first process, exchange of values."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from cairn.errors import RecipeError

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The processes of a training run.

    Attributes:
        rank: Rank of this process among all.
        count: Number of processes on all machines.
        here: Number of processes on this machine.
    """

    rank: int = 0
    count: int = 1
    here: int = 1

    @property
    def machines(self) -> int:
        """Number of machines."""
        return self.count // self.here

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and logs."""
        return self.rank == 0


def processes() -> Processes:
    """Returns the processes that torchrun names in the environment; one process without torchrun.

    Raises:
        RecipeError: The machines have different numbers of processes.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Processes()
    group = Processes(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")))
    if group.count % group.here:
        raise RecipeError(
            f"{group.count} processes, {group.here} of them on this machine: start the same number on each machine"
        )
    return group


@contextmanager
def joined() -> Iterator[Processes]:
    """Connects the processes for the duration of the block.

    Raises:
        RecipeError: This machine has GPUs, but fewer than processes.
    """
    group = processes()
    if group.count == 1 or torch.distributed.is_initialized():
        yield group
        return
    gpus = torch.cuda.device_count()
    if 0 < gpus < group.here:
        raise RecipeError(f"{group.here} processes for {gpus} GPUs: use torchrun --nproc-per-node {gpus}")
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo")
    try:
        yield group
    finally:
        if torch.distributed.is_initialized():  # Lightning may have ended it
            torch.distributed.destroy_process_group()


def on_first(work: Callable[[], T]) -> T:
    """Runs `work` in the first process, and returns its result in all of them.

    If it fails, the first process raises the error and the others exit without a message.

    Args:
        work: The function to run. Its result is pickled, and should be small.
    """
    if not _several():
        return work()
    outcome: list[Any] = [None, False]  # result, whether there is one
    if torch.distributed.get_rank() == 0:
        try:
            outcome = [work(), True]
        finally:
            _broadcast(outcome)
    else:
        _broadcast(outcome)
        if not outcome[1]:
            raise SystemExit(2)
    result: T = outcome[0]
    return result


def first_before_others(work: Callable[[], T]) -> T:
    """Runs `work` in every process, first in the first one: the others can read the files that it wrote."""
    if not _several():
        return work()
    done: list[T] = []
    on_first(lambda: done.append(work()))
    return done[0] if done else work()


def gathered(values: list[T]) -> list[T]:
    """Returns the values of all processes, ordered by rank."""
    if not _several():
        return values
    lists: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(lists, values)
    return [value for one in lists for value in one]


def share_buffers(module: torch.nn.Module) -> None:
    """Copies the buffers of the first process to all: each process gathers its own statistics of normalization."""
    if _several():
        for buffer in module.buffers():
            torch.distributed.broadcast(buffer, src=0)


def _several() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _broadcast(values: list[Any]) -> None:
    torch.distributed.broadcast_object_list(values, src=0, device=torch.device("cpu"))

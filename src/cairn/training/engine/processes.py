"""Several processes that train one network, as torchrun starts them: who is first, and what only the first does."""

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
    """count: of all machines; here: of this machine; rank: this one's number among all."""

    rank: int = 0
    count: int = 1
    here: int = 1

    @property
    def machines(self) -> int:
        return self.count // self.here

    @property
    def first(self) -> bool:
        return self.rank == 0


def processes() -> Processes:
    """What torchrun says in the environment; one process where it started none.

    Raises RecipeError where machines have different numbers of processes.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Processes()
    found = Processes(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")))
    if found.count % found.here:
        raise RecipeError(f"{found.count} processes, {found.here} of them here: start as many on each machine")
    return found


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes, able to speak to one another within the block.

    Raises RecipeError where this machine has GPUs, but fewer than processes.
    """
    group = processes()
    if group.count == 1 or torch.distributed.is_initialized():
        yield group
        return
    gpus = torch.cuda.device_count()
    if 0 < gpus < group.here:
        raise RecipeError(f"{group.here} processes for {gpus} GPUs: torchrun --nproc-per-node {gpus}")
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo")
    try:
        yield group
    finally:
        if torch.distributed.is_initialized():  # Lightning ends it too
            torch.distributed.destroy_process_group()


def on_first(work: Callable[[], T]) -> T:
    """What `work` gives in the first process, in all of them; picklable, and small.

    Where it fails, the first says why, and the others end without a word.
    """
    if not _several():
        return work()
    told: list[Any] = [None, False]
    if torch.distributed.get_rank() == 0:
        try:
            told = [work(), True]
        finally:
            _broadcast(told)
    else:
        _broadcast(told)
        if not told[1]:
            raise SystemExit(2)
    return told[0]


def first_before_others(work: Callable[[], T]) -> T:
    """`work` in every process, in the others once the first is done: they find what it has written."""
    if not _several():
        return work()
    done: list[T] = []
    on_first(lambda: done.append(work()))
    return done[0] if done else work()


def gathered(values: list[T]) -> list[T]:
    """The values of all processes, in the order of their ranks."""
    if not _several():
        return values
    lists: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(lists, values)
    return [value for some in lists for value in some]


def share_buffers(module: torch.nn.Module) -> None:
    """Gives every process the first one's buffers: the statistics of BatchNorm, which each gathers by itself."""
    if _several():
        for buffer in module.buffers():
            torch.distributed.broadcast(buffer, src=0)


def _several() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _broadcast(values: list[Any]) -> None:
    torch.distributed.broadcast_object_list(values, src=0, device=torch.device("cpu"))

"""Facts of this machine, and the measured training speed of a recipe on it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import torch

from cairn.machine import available_cores
from cairn.training.autoconfig.choices import Machine, Pace
from cairn.training.data.loading import stack
from cairn.training.engine.memory import is_out_of_memory
from cairn.training.engine.processes import processes
from cairn.training.engine.quiet import quietly
from cairn.training.engine.threads import fastest_threads, numbers_of_threads, workers_of
from cairn.training.engine.training_module import make_optimizer
from cairn.training.exporting.torch_network import TorchNetwork
from cairn.training.method import TrainingMethod
from cairn.training.recipe import Recipe

UNKNOWN_MEMORY = 8000
"""Free memory in megabytes where the operating system does not report it."""


def in_bf16(precision: str) -> bool:
    """Returns whether a `run.precision` trains in bf16 on this machine.

    "auto" is bf16 on GPUs and on CPUs that multiply bf16 numbers: with AMX or AVX512-BF16. On others it is slower than
    fp32.
    """
    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # absent in older versions of torch
    has_amx = capabilities.get("amx_tile") and capabilities.get("amx_bf16")
    return bool(has_amx or capabilities.get("avx512_bf16"))


def measure_machine() -> Machine:
    """Returns the cores and the memory available to this process: its share if several train on this machine."""
    here = processes().here
    try:
        memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    except (AttributeError, ValueError, OSError):
        memory = UNKNOWN_MEMORY
    gpu = torch.cuda.mem_get_info()[0] // 2**20 if torch.cuda.is_available() else None
    return Machine(max(1, available_cores() // here), memory // here, gpu)


def measure_pace(method: TrainingMethod, recipe: Recipe) -> tuple[int, int, Pace] | None:
    """Measures the speed of a recipe on this machine.

    Returns:
        Training samples per epoch, number of validation images, and the pace; None if memory does not suffice for a
        batch.

    Raises:
        CairnError: The recipe cannot be used for training.
    """
    group = processes()
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    quick = recipe.model_copy(update={"run": recipe.run.model_copy(update={"cache": 0})})
    with tempfile.TemporaryDirectory() as folder, quietly():  # this split belongs to no run
        skeleton, sources, val = method.read_data(quick, Path(folder))
    training = method.training_set(quick, skeleton, sources)
    module = method.module(quick, skeleton, val)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    share = max(1, recipe.run.batch_size // group.count)
    encoding, items = _timed(lambda: [training[i % len(training)] for i in range(share)])
    batch = {name: values.to(device) for name, values in stack(items).items()}
    module.to(device).train()
    optimizer = make_optimizer(module.network, recipe.optimizer, module.backbone)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=in_bf16(recipe.run.precision)):
            losses = module.losses(batch)
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    try:
        _, network = fastest_threads(numbers_of_threads(recipe.run, group), step)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    validation = TorchNetwork(module.export_module(), module.spec())
    validating, _ = _timed(lambda: module.predict(validation, 0))
    workers = workers_of(recipe.run, group)  # beside the network; without them, samples are encoded between steps
    seconds = max(network, encoding / workers) if workers else network + encoding
    return len(training), len(val), Pace(seconds / share / group.count, validating / group.count)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result

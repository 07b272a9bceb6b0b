"""Out of memory: smaller batches with more gradient accumulation, so that a step keeps its images."""

from __future__ import annotations

import torch

from cairn.errors import RecipeError
from cairn.training.recipe import R

CPU_MESSAGES = ("can't allocate memory", "not enough memory")
"""Parts of the messages of torch's CPU allocators, which raise a plain RuntimeError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error reports a lack of memory, of the GPU or of the machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in CPU_MESSAGES)


def with_smaller_batch(recipe: R, processes: int = 1) -> R:
    """Returns the recipe with at most half the batch size, and gradient accumulation that keeps the images of a step.

    Args:
        recipe: The recipe that needs too much memory.
        processes: Number of processes that train together.

    Raises:
        RecipeError: The batch size is 1 already, or several processes train: one of them cannot change the batch size.
    """
    run = recipe.run
    if processes > 1:
        raise RecipeError(
            f"out of memory with a batch size of {run.batch_size} over {processes} processes: "
            "restart with half of run.batch_size and twice run.accumulate"
        )
    if run.batch_size == 1:
        raise RecipeError("out of memory with a batch size of 1: lower input.size, or select a smaller network")
    step = run.batch_size * run.accumulate
    batch = max(count for count in range(1, run.batch_size // 2 + 1) if step % count == 0)
    accumulate = step // batch
    return recipe.model_copy(update={"run": run.model_copy(update={"batch_size": batch, "accumulate": accumulate})})

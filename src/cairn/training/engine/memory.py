"""When memory does not suffice: fewer images at a time, as many a step."""

from __future__ import annotations

import torch

from cairn.errors import RecipeError
from cairn.training.recipe import R

CPU_WORDS = ("can't allocate memory", "not enough memory")
"""What torch's allocators of the CPU say, in a RuntimeError without a type of its own."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, a GPU's or the machine's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in CPU_WORDS)


def with_smaller_batch(recipe: R, processes: int = 1) -> R:
    """At most half the images at a time and as many more times a step: a step's images stay the same.

    Raises RecipeError where a batch is one image for each process already, or memory ran out for one of several
    processes, which cannot change it by itself.
    """
    run = recipe.run
    if processes > 1:
        raise RecipeError(
            f"out of memory at {run.batch_size} images over {processes} processes: start again with half of run.batch_size "
            "and twice run.accumulate"
        )
    if run.batch_size == 1:
        raise RecipeError("out of memory with one image at a time: lower input.size, or take a smaller network")
    step = run.batch_size * run.accumulate
    batch = max(count for count in range(1, run.batch_size // 2 + 1) if step % count == 0)
    accumulate = step // batch
    return recipe.model_copy(update={"run": run.model_copy(update={"batch_size": batch, "accumulate": accumulate})})

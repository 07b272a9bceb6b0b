"""When memory does not suffice: fewer pictures at a time, as many a step."""

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
    """At most half the pictures at a time and as many more times a step: a step's pictures stay the same.

    Raises RecipeError where a batch is one picture for each process already, or memory ran out for one of several
    processes, which cannot change it by itself.
    """
    run = recipe.run
    if processes > 1:
        raise RecipeError(
            f"out of memory at {run.batch} pictures over {processes} processes: start again with half of run.batch "
            "and twice run.accumulate"
        )
    if run.batch == 1:
        raise RecipeError("out of memory with one picture at a time: lower input.size, or take a smaller network")
    step = run.batch * run.accumulate
    batch = max(count for count in range(1, run.batch // 2 + 1) if step % count == 0)
    accumulate = step // batch
    return recipe.model_copy(update={"run": run.model_copy(update={"batch": batch, "accumulate": accumulate})})

"""Engines: who computes the shards of a run."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from cairn.api.dataset.plan import Listing, Planner
from cairn.api.dataset.work import Aside, ShardWorker, Work
from cairn.api.detect_dataset import ENGINES
from cairn.errors import CairnError
from cairn.extras import require
from cairn.results.shards import ShardRecord


@dataclass(frozen=True)
class Computed:
    """A shard that is complete.

    Attributes:
        number: Its number.
        record: What it has.
        before: Whether an earlier run completed it.
    """

    number: int
    record: ShardRecord
    before: bool


Report: TypeAlias = Computed | Listing
"""What an engine yields: each shard, in any order, and at the end what was met while listing."""


@dataclass(frozen=True)
class Watch:
    """How a run looks on while an engine works.

    Attributes:
        stopped: Whether to stop: no further shard is begun.
        advance: Called after each image, by engines that work in this process.
        notice: Gets one line about a worker that was lost.
    """

    stopped: Callable[[], bool]
    advance: Callable[[], None]
    notice: Callable[[str], None]


class Engine(Protocol):
    """Computes the shards of a plan that are not complete."""

    def run(self, planner: Planner, work: Work, watch: Watch) -> Generator[Report, None, None]:
        """Yields every shard when it is complete.

        Raises:
            CairnError: A shard cannot be written, a source names nothing, or the model cannot be loaded.
        """
        ...


@dataclass(frozen=True)
class LocalEngine:
    """One shard at a time in this process, whose threads use all cores."""

    def run(self, planner: Planner, work: Work, watch: Watch) -> Generator[Report, None, None]:
        """See `Engine`."""
        listing = Listing()
        worker: ShardWorker | None = None
        for plan in planner.plans(listing):
            if watch.stopped():
                return
            if plan.done is not None:
                yield Computed(plan.number, plan.done, before=True)
                continue
            worker = worker or ShardWorker(work)
            record = worker(plan.number, plan.items, Aside(watch.stopped, watch.advance))
            yield Computed(plan.number, record, before=False)
        yield listing


@dataclass(frozen=True)
class EngineOptions:
    """Which engine, and its size.

    Attributes:
        name: "local" or "ray".
        address: Address of a Ray cluster, "auto" for the one of this machine; None starts one on this machine.
        workers: Number of workers; None is one for each CPU core of the cluster, or for each GPU.
        gpus: Number of GPUs; None uses the CPU.
    """

    name: str = "local"
    address: str | None = None
    workers: int | None = None
    gpus: int | None = None

    def open(self) -> Engine:
        """Returns the engine; Ray is imported only here.

        Raises:
            CairnError: An option is invalid or would be ignored.
            MissingExtra: Ray is not installed.
        """
        if self.name not in ENGINES:
            raise CairnError(f"engine must be {' or '.join(ENGINES)}, got {self.name!r}")
        if self.name == "local":
            for name in ("address", "workers", "gpus"):
                if getattr(self, name) is not None:
                    raise CairnError(f"{name} is for the engine ray: add --engine ray, or omit it")
            return LocalEngine()
        for name in ("workers", "gpus"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise CairnError(f"{name} must be 1 or more, got {value}")
        if self.workers and self.gpus and self.workers % self.gpus:
            raise CairnError(
                f"workers share the GPUs evenly: {self.workers} workers cannot share {self.gpus} GPUs; give a multiple"
            )
        require("ray", "pyarrow", extra="ray", purpose="the engine ray")
        from cairn.api.dataset.ray_engine import RayEngine

        return RayEngine(self.address, self.workers, self.gpus)

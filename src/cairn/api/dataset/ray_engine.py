"""Detection on a Ray cluster: Ray Data lists the shards in one task, and a pool of actors computes them.

Only the names of images and the counts of shards travel: each actor reads its images and writes its shard by itself, to
storage that all machines share. Ray Data runs few shards ahead of the actors, gives the shard of a lost actor to
another one, and starts it again where the cluster has room.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import queue
import secrets
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow

os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # threads of Ray Data outlive shutdown() and would connect again

import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext

from cairn import machine
from cairn.api.dataset.engines import Computed, Report, Watch
from cairn.api.dataset.plan import Listing, Planner, ShardPlan
from cairn.api.dataset.work import Aside, ShardWorker, Work, enter_place
from cairn.errors import CairnError
from cairn.results.shards import shard_path

OBJECT_STORE = 100 << 20
"""Bytes of the object store of a cluster that the run starts: plans and counts are small."""

TRIES = 2
"""Number of times that a shard is computed before the image that ends its workers is looked for."""

COLUMN = "data"
_WAIT = 0.3  # seconds between two checks whether to stop
_LEAVE = 30.0  # seconds in which the threads of a run that ended should be gone


@dataclass(frozen=True)
class RayEngine:
    """Workers on a Ray cluster; see `EngineOptions` for the attributes."""

    address: str | None
    workers: int | None
    gpus: int | None

    def run(self, planner: Planner, work: Work, watch: Watch) -> Generator[Report, None, None]:
        """See `Engine`."""
        with _connected(self.address, self.workers, watch):
            workers = self._number_of_workers()
            resources = {"num_gpus": self.gpus / workers} if self.gpus else {"num_cpus": 1.0}
            own = replace(
                work,
                threads=work.threads or (0 if self.gpus else 1),
                device="cuda" if self.gpus and work.device == "auto" else work.device,
            )
            yield from _execute(planner, own, watch, workers, resources)

    def _number_of_workers(self) -> int:
        total = ray.cluster_resources()
        if self.gpus and total.get("GPU", 0) < self.gpus:
            raise CairnError(f"gpus {self.gpus}: the Ray cluster has {int(total.get('GPU', 0))} GPUs")
        return self.workers or self.gpus or max(1, int(total.get("CPU", 1)))


def _execute(planner: Planner, work: Work, watch: Watch, workers: int, resources: dict[str, float]) -> Iterator[Report]:
    """Runs the pipeline of Ray Data and yields what its actors report."""
    run = secrets.token_hex(4)
    with _data_context():
        # One block that is there already: reading it would be a task that waits for a core.
        plans = ray.data.from_arrow(_table(None)).map_batches(
            _list_shards, batch_size=None, batch_format="pyarrow", fn_args=(planner, work.place), num_cpus=0
        )
        reports = plans.map_batches(
            _Actor,
            batch_size=1,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers),
            fn_constructor_args=(work, run),
            **resources,
        )
        reports.set_name(run)
        batches = reports.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
        with closing(_polled(batches, run, watch)) as polled:
            for batch in polled:
                for data in batch.column(COLUMN).to_pylist():
                    report = pickle.loads(data)
                    if isinstance(report, CairnError):
                        raise report
                    yield report


def _polled(batches: Any, run: str, watch: Watch) -> Generator[Any, None, None]:
    """Yields the batches; ends when the run should stop, also while the next one is awaited."""
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(4)
    ended = threading.Event()

    def put(entry: tuple[Any, BaseException | None]) -> None:
        while not ended.is_set():
            with suppress(queue.Full):
                ready.put(entry, timeout=_WAIT)
                return

    def draw() -> None:
        try:
            for batch in batches:
                put((batch, None))
                if ended.is_set():
                    return
            put((None, None))
        except BaseException as error:
            put((None, error))

    threading.Thread(target=draw, daemon=True, name=f"Reports-{run}").start()
    try:
        while not watch.stopped():
            try:
                batch, error = ready.get(timeout=_WAIT)
            except queue.Empty:
                continue
            if error is not None:
                raise _one_line(error)
            if batch is None:
                return
            yield batch
    finally:
        ended.set()
        _end_threads(run)


def _end_threads(run: str) -> None:
    """Ends what runs in the background for a run: its executor gives its actors back.

    A thread that asks Ray for something after `ray.shutdown()` ends the whole process, with status 1.

    Args:
        run: Name of the data set; the name of each thread has it.
    """
    until = time.monotonic() + _LEAVE
    while (threads := [thread for thread in threading.enumerate() if run in thread.name]) and time.monotonic() < until:
        for thread in threads:
            if (shutdown := getattr(thread, "shutdown", None)) is not None:  # Ray's executor is a thread
                with suppress(Exception):  # the cluster may be gone
                    shutdown(force=True)
            thread.join(_WAIT)  # and look again: the thread that draws reports may start the executor only now


def _one_line(error: BaseException) -> CairnError:
    """Returns an error of Ray as one of Cairn."""
    cause = getattr(error, "cause", None)
    lines = [line.strip() for line in str(cause or error).splitlines() if line.strip()]
    return CairnError(f"Ray ended the run ({type(error).__name__}): {lines[-1] if lines else 'no reason given'}")


def _list_shards(batch: Any, planner: Planner, place: str) -> Iterator[Any]:
    """Yields the plans, in a task of their own; as the last one what was met while listing."""
    enter_place(place)
    listing = Listing()
    try:
        for plan in planner.plans(listing):
            yield _table(plan)
        yield _table(listing)
    except CairnError as error:
        yield _table(error)


def _table(value: object) -> Any:
    return pyarrow.table({COLUMN: pyarrow.array([pickle.dumps(value)], pyarrow.large_binary())})


class _Actor:
    """Computes shards on some machine of the cluster; the model is loaded with the first one."""

    def __init__(self, work: Work, run: str) -> None:
        enter_place(work.place)
        self._work = work
        self._run = run
        self._worker: ShardWorker | None = None

    def __call__(self, batch: Any) -> Any:
        value = pickle.loads(batch.column(COLUMN)[0].as_py())
        if isinstance(value, ShardPlan):
            try:
                value = self._compute(value)
            except CairnError as error:
                value = error
        return _table(value)

    def _compute(self, plan: ShardPlan) -> Computed:
        if plan.done is not None:
            return Computed(plan.number, plan.done, before=True)
        if self._worker is None:
            self._worker = ShardWorker(self._work)
        with _Tries(shard_path(self._work.folder, plan.number), self._run) as tries:
            aside = None if tries.number < TRIES else Aside(skip=tries.skip, begin=tries.begin)
            record = self._worker(plan.number, plan.items, aside)
        return Computed(plan.number, record, before=False)


class _Tries:
    """Counts how often a shard was begun in a run, in a hidden file beside it, which is gone when the shard is done.

    An image that ends every process that reads it, such as one for which memory does not suffice, would otherwise end
    one worker after another. From the third time on the file names the item that is being read; that of a worker that
    was lost is skipped.

    Attributes:
        number: Number of times before this one.
        skip: Numbers of the items that ended workers.
    """

    def __init__(self, shard: Path, run: str) -> None:
        self._path = shard.with_name(f".cairn.{shard.stem}.tries")
        self._run = run
        self.number = 0
        self.skip: list[int] = []

    def __enter__(self) -> _Tries:
        with suppress(OSError, ValueError):
            values = json.loads(self._path.read_text(encoding="utf-8"))
            if values["run"] == self._run:
                self.number = values["number"] + 1
                self.skip = [*values["skip"], *([] if values["at"] is None else [values["at"]])]
        self._write(None)
        return self

    def __exit__(self, *ended: object) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def begin(self, at: int) -> None:
        """Notes the item that is read next."""
        self._write(at)

    def _write(self, at: int | None) -> None:
        values = {"run": self._run, "number": self.number, "skip": self.skip, "at": at}
        with suppress(OSError):  # the shard itself reports a full disk
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(values), encoding="utf-8")


@contextmanager
def _connected(address: str | None, workers: int | None, watch: Watch) -> Iterator[None]:
    """Connects to a cluster, or starts one on this machine, and leaves it at the end; one in use stays."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            cores = max(machine.available_cores(), workers or 1)
            ray.init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE,
                **quiet,
            )
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise CairnError(
            f"no Ray cluster at {address}: {str(error).splitlines()[0]}; start one with ray start --head, or omit "
            "address"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _data_context() -> Iterator[None]:
    """Sets Ray Data to one shard in each block, and to silence; restores its settings."""
    context = DataContext.get_current()
    wanted = {
        "target_max_block_size": 1,
        "enable_progress_bars": False,
        "print_on_execution_start": False,
        "verbose_stats_logs": False,
    }
    before = {name: getattr(context, name) for name in wanted if hasattr(context, name)}
    for name in before:
        setattr(context, name, wanted[name])
    log = logging.getLogger("ray.data")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
        for name, value in before.items():
            setattr(context, name, value)

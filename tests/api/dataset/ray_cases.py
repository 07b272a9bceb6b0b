"""Shards on a Ray cluster of two nodes on this machine: what dies costs time and nothing else.

Run by `test_ray_engine`, in a process of its own.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

import cairn
from cairn.api.detection import Hooks
from cairn.errors import CairnError
from cairn.media.images import write_image
from support.fake_network import totems

pq = pytest.importorskip("pyarrow.parquet")

COUNT, SHARD = 60, 4


@pytest.fixture(scope="module")
def cluster(environment: dict[str, str]) -> Iterator[Any]:
    """Two nodes with one core each; the first one stays."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = os.pathsep.join([environment["PYTHONPATH"], str(Path(__file__).parents[2])])
    made = Cluster()
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=80 << 20, include_dashboard=False)
    ray.init(
        address=made.address,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"worker_process_setup_hook": "support.ray_workers.prepare"},
    )
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    places = ([(80, 120)], [(80, 120), (240, 120)], [], [(200, 100)])
    for i in range(COUNT):
        write_image(folder / f"{i:02d}.png", totems((240, 320), places[i % 4]))
    (folder / "30.png").write_bytes((folder / "30.png").read_bytes()[:300])
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, photos: Path, totem_model: Path) -> Any:
    out = tmp_path_factory.mktemp("plain")
    cairn.detect_dataset(photos, out, model=totem_model, shard_size=SHARD, threads=1)
    return rows(out)


def rows(out: Path) -> Any:
    return pq.read_table(out / "cairn.parquet")


def complete(out: Path) -> list[Path]:
    return sorted((out / "cairn.parquet").glob("part-*"))


def workers(address: str) -> list[int]:
    """Processes of the actors of a cluster on this machine: children of its raylets."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cmdline").read_bytes().startswith(b"ray::MapWorker"):
                parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
                if address.encode() in Path(f"/proc/{parent}/cmdline").read_bytes():
                    found.append(int(path.name))
        except OSError:
            continue
    return found


def test_what_dies_with_a_worker_or_a_node_is_computed_by_others_and_what_kills_workers_is_a_fault(
    cluster: Any, photos: Path, plain: Any, tmp_path: Path, totem_model: Path
) -> None:
    killed: list[int] = []
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "deadly.png").symlink_to(photos / "05.png")
    out = tmp_path / "out"

    def kill() -> None:
        while len(complete(out)) < 2:
            time.sleep(0.02)
        one = workers(cluster.address)[0]
        os.kill(one, signal.SIGKILL)
        killed.append(len(complete(out)))
        while len(complete(out)) < 6:
            time.sleep(0.02)
        cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
        killed.append(len(complete(out)))

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    done = cairn.detect_dataset(
        [photos, tmp_path / "more"], out, model=totem_model, engine="ray", address="auto", workers=2, shard_size=SHARD
    )
    thread.join(5)
    assert len(killed) == 2
    assert killed[1] < COUNT // SHARD
    assert (done.images, done.faults, done.shards) == (COUNT - 1, 2, COUNT // SHARD + 1)
    assert rows(out).equals(plain)
    assert [path.name for path in (out / "cairn.parquet").iterdir() if path.name.startswith(".")] == []
    assert "deadly.png" in (out / "cairn.faults.csv").read_text().splitlines()[-1]


def test_a_driver_that_was_killed_goes_on(
    cluster: Any, photos: Path, plain: Any, tmp_path: Path, totem_model: Path, environment: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "cairn", "detect", str(photos), "--out", str(tmp_path), "--model"]
    command += [str(totem_model), "--engine", "ray", "--address", cluster.address, "--shard-size", str(SHARD)]
    with subprocess.Popen(command, env=environment) as driver:
        while len(complete(tmp_path)) < 2 and driver.poll() is None:
            time.sleep(0.02)
        driver.send_signal(signal.SIGKILL)
    before = len(complete(tmp_path))
    assert before >= 2
    done = cairn.detect_dataset(photos, tmp_path, model=totem_model, shard_size=SHARD, threads=1, resume=True)
    assert done.resumed >= before  # an actor may have completed one more
    assert done.images == COUNT - 1
    assert rows(tmp_path).equals(plain)


def test_a_stopped_run_ends_while_workers_work(cluster: Any, photos: Path, tmp_path: Path, totem_model: Path) -> None:
    done = cairn.detect_dataset(
        photos,
        tmp_path,
        model=totem_model,
        engine="ray",
        workers=1,
        shard_size=SHARD,
        hooks=Hooks(stopped=lambda: bool(complete(tmp_path))),
    )
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("StreamingExecutor")]
    assert done.interrupted
    assert done.shards < COUNT // SHARD
    assert left == []  # one that asks Ray after shutdown() ends the process


def test_more_gpus_than_the_cluster_has_are_one_line(
    cluster: Any, photos: Path, tmp_path: Path, totem_model: Path
) -> None:
    with pytest.raises(CairnError, match="gpus 2: the Ray cluster has 0 GPUs"):
        cairn.detect_dataset(photos, tmp_path, model=totem_model, engine="ray", gpus=2)

"""Detection in shards: the table of a plain run, which survives whatever ends a run."""

import csv
import errno
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cairn
from cairn.api.dataset import lock
from cairn.api.dataset.work import ShardWorker
from cairn.api.detection import Hooks
from cairn.errors import CairnError, OutputError
from cairn.media.images import write_image
from support.ended import run_cairn
from support.fake_network import totems

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

PLACES = ([(80, 120)], [(80, 120), (240, 120)], [], [(200, 100)], [(100, 130)])

Run = Callable[..., Any]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eleven images in three folders, of none to two totems."""
    for i in range(11):
        folder = tmp_path / "photos" / ("", "b", "b/c")[i % 3]
        write_image(folder / f"{i:02d}.png", totems((240, 320), PLACES[i % 5]))
    return tmp_path / "photos"


@pytest.fixture
def run(tmp_path: Path, totem_model: Path) -> Run:
    """Runs into the folder `out`, with three images in a shard."""

    def detect(*sources: Path, **options: Any) -> Any:
        options = {"model": totem_model, "threads": 1, "shard_size": 3, "out": tmp_path / "out", **options}
        return cairn.detect_dataset(sources, **options)

    return detect


def rows(out: Path) -> Any:
    return pq.read_table(out / "cairn.parquet")


def shards(out: Path) -> dict[str, int]:
    """Name of each shard -> when it was written."""
    return {path.name: path.stat().st_mtime_ns for path in sorted((out / "cairn.parquet").iterdir())}


def left(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()} - {"cairn.parquet", ".cairn.run.json", "cairn.faults.csv"}


def faults(out: Path) -> list[tuple[str, str]]:
    with (out / "cairn.faults.csv").open(newline="") as file:
        return [(line["image"], line["error"]) for line in csv.DictReader(file)]


def test_shards_together_are_the_table_of_a_plain_run(
    run: Run, photos: Path, tmp_path: Path, totem_model: Path
) -> None:
    done = run(photos)
    assert (done.images, done.people, done.faults, done.shards) == (11, rows(tmp_path / "out").num_rows // 3, 0, 4)
    assert repr(done).count("\n") == 0
    cairn.detect(photos, model=totem_model, out=tmp_path / "plain", write="parquet", threads=1, draw=False)
    assert rows(tmp_path / "out").equals(rows(tmp_path / "plain"))
    assert list(shards(tmp_path / "out")) == [f"part-{i:08d}.parquet" for i in range(4)]
    assert left(tmp_path / "out") == set()


def test_columns_and_empty_images_are_those_of_a_plain_run(
    run: Run, photos: Path, tmp_path: Path, totem_model: Path
) -> None:
    run(photos, empty=True)
    cairn.detect(photos, model=totem_model, out=tmp_path / "plain", write="parquet", threads=1, empty=True)
    assert rows(tmp_path / "out").schema == rows(tmp_path / "plain").schema
    assert rows(tmp_path / "out").equals(rows(tmp_path / "plain"))


def test_the_number_of_threads_changes_nothing(run: Run, photos: Path, tmp_path: Path) -> None:
    run(photos)
    run(photos, threads=2, out=tmp_path / "two")
    assert rows(tmp_path / "out").equals(rows(tmp_path / "two"))


def test_a_run_goes_on_without_computing_complete_shards_again(run: Run, photos: Path, tmp_path: Path) -> None:
    run(photos)
    whole, before = rows(tmp_path / "out"), shards(tmp_path / "out")
    (tmp_path / "out" / "cairn.parquet" / "part-00000001.parquet").unlink()
    (tmp_path / "out" / "cairn.parquet" / "part-00000003.parquet").write_bytes(b"PAR1 truncated")
    (tmp_path / "out" / "cairn.parquet" / ".cairn.1.2.partial.parquet").write_bytes(b"left")
    done = run(photos, resume=True)
    after = shards(tmp_path / "out")
    assert rows(tmp_path / "out").equals(whole)
    assert (done.images, done.shards, done.resumed) == (11, 4, 2)
    assert [name for name in after if after[name] == before[name]] == ["part-00000000.parquet", "part-00000002.parquet"]


def test_images_that_came_since_are_added(run: Run, photos: Path, tmp_path: Path) -> None:
    run(photos)
    for name in ("b/000.png", "b/c/99.png", "z/1.png"):  # inside a shard, and after the last one
        write_image(photos / name, totems((240, 320), PLACES[0]))
    (photos / "00.png").unlink()
    assert run(photos, resume=True).images == 14  # the results of the image that is gone stay
    run(photos, out=tmp_path / "new")
    old = rows(tmp_path / "out").column("image").to_pylist()
    assert set(rows(tmp_path / "new").column("image").to_pylist()) <= set(old)
    keys = list(
        zip(*(rows(tmp_path / "out").column(name).to_pylist() for name in ("image", "person", "joint")), strict=True)
    )
    assert len(keys) == len(set(keys))


KILLED = """
import sys, time
import cairn
from cairn.api.dataset.work import ShardWorker
work = ShardWorker.__call__
def slowly(self, number, items, aside=None):
    if number == 2:
        print("two", flush=True)
        time.sleep(60)
    return work(self, number, items, aside)
ShardWorker.__call__ = slowly
cairn.detect_dataset(sys.argv[1], sys.argv[2], model=sys.argv[3], shard_size=3, threads=1)
"""


def test_a_run_that_was_killed_goes_on(
    run: Run, photos: Path, tmp_path: Path, totem_model: Path, environment: dict[str, str]
) -> None:
    arguments = [sys.executable, "-c", KILLED, str(photos), str(tmp_path / "out"), str(totem_model)]
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "two\n"
        with pytest.raises(OutputError, match=rf"another run writes into .* \(process {killed.pid} "):
            run(photos, resume=True)
        killed.send_signal(signal.SIGKILL)
    assert len(shards(tmp_path / "out")) == 2
    with pytest.raises(OutputError, match="has 2 shards of an earlier run: pass --resume"):
        run(photos)
    done = run(photos, resume=True)
    assert (done.images, done.shards, done.resumed) == (11, 4, 2)
    run(photos, out=tmp_path / "whole")
    assert rows(tmp_path / "out").equals(rows(tmp_path / "whole"))
    assert left(tmp_path / "out") == set()


def test_a_run_that_is_stopped_leaves_complete_shards_only(run: Run, photos: Path, tmp_path: Path) -> None:
    seen = 0

    def advance(done: int, total: int | None) -> None:
        nonlocal seen
        seen = done

    done = run(photos, hooks=Hooks(advance=advance, stopped=lambda: seen >= 7))
    assert done.interrupted
    assert len(shards(tmp_path / "out")) == done.shards == 2
    assert run(photos, resume=True).images == 11


def test_what_cannot_be_read_is_counted_and_listed(run: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "03.png").write_bytes((photos / "03.png").read_bytes()[:200])
    (photos / "b" / "bad.jpg").write_text("no image")
    done = run(photos)
    assert (done.images, done.faults) == (10, 2)
    assert [Path(image).name for image, _ in faults(tmp_path / "out")] == ["03.png", "bad.jpg"]
    assert all(str(photos) in error for _, error in faults(tmp_path / "out"))
    assert run(photos, resume=True).faults == 2
    (photos / "03.png").unlink()
    (photos / "b" / "bad.jpg").unlink()
    write_image(photos / "03.png", totems((240, 320), PLACES[1]))
    write_image(photos / "b" / "bad.jpg", totems((240, 320), PLACES[1]))
    done = run(photos, resume=True, retry_faults=True)
    assert (done.images, done.faults, done.resumed) == (12, 0, 2)
    assert not (tmp_path / "out" / "cairn.faults.csv").exists()


def test_paths_of_a_list_that_cannot_be_reached_are_faults(run: Run, photos: Path, tmp_path: Path) -> None:
    lines = ["photos/00.png", "gone/1.png", "photos/00.png", "", "photos/03.png"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    done = run(tmp_path / "list.txt")
    assert (done.images, done.faults) == (2, 1)
    assert faults(tmp_path / "out")[0][0] == str(tmp_path / "gone" / "1.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_a_fault(run: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "b").chmod(0)
    try:
        assert run(photos).faults == 1
    finally:
        (photos / "b").chmod(0o755)
    assert faults(tmp_path / "out") == [(str(photos / "b"), "Permission denied")]
    assert run(photos, resume=True).images == 11


def test_a_folder_that_vanishes_is_a_fault(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def failing(place: str) -> Any:
        if str(place).endswith("c"):
            raise OSError(errno.ESTALE, "Stale file handle")
        return scan(place)

    run(photos)
    with monkeypatch.context() as broken:
        broken.setattr(os, "scandir", failing)
        done = run(photos, resume=True)
    assert (done.images, done.faults) == (11, 1)  # what was computed stays
    assert faults(tmp_path / "out") == [(str(photos / "b" / "c"), "Stale file handle")]
    assert run(photos, resume=True).faults == 0


def test_a_full_disk_ends_the_run_and_what_is_complete_stays(run: Run, photos: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(done: int, total: int | None) -> None:
        if done >= 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (700, hard))

    try:
        with pytest.raises(
            OutputError, match=r"cannot write .*part-00000001.*1 shard complete: .* go on with --resume"
        ):
            run(photos, hooks=Hooks(advance=fill))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(shards(tmp_path / "out")) == ["part-00000000.parquet"]
    assert run(photos, resume=True).images == 11


def test_shards_that_are_not_on_this_machine_end_the_run(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = ShardWorker.__call__

    def elsewhere(self: ShardWorker, number: int, items: Any, aside: Any = None) -> Any:
        record = work(self, number, items, aside)
        (tmp_path / "out" / "cairn.parquet" / f"part-{number:08d}.parquet").unlink()
        return record

    monkeypatch.setattr(ShardWorker, "__call__", elsewhere)
    with pytest.raises(OutputError, match="not on this machine: choose a folder that all machines share"):
        run(photos)


def test_the_engine_ray_without_ray_names_the_extra(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cairn.extras

    monkeypatch.setattr(cairn.extras, "find_spec", lambda name: None if name == "ray" else name)
    with pytest.raises(CairnError, match=r"the engine ray needs ray.* 'cairn-pose\[ray\]'"):
        run(photos, engine="ray")
    assert not (tmp_path / "out").exists()


def test_the_local_engine_imports_no_ray(
    photos: Path, tmp_path: Path, totem_model: Path, python: Callable[[str], str]
) -> None:
    code = f"""
import sys, cairn
cairn.detect_dataset({str(photos)!r}, {str(tmp_path / "out")!r}, model={str(totem_model)!r}, threads=1)
print("ray" in sys.modules)
"""
    assert python(code).split() == ["False"]


def test_two_runs_into_one_output_are_refused(run: Run, photos: Path, tmp_path: Path) -> None:
    inside, free = threading.Event(), threading.Event()

    def hold(done: int, total: int | None) -> None:
        inside.set()
        free.wait(20)

    first = threading.Thread(target=run, args=(photos,), kwargs={"hooks": Hooks(advance=hold)})
    first.start()
    try:
        assert inside.wait(20)
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(OutputError, match="another run writes into"):
                run(photos, **options)
        other = run(photos, out=tmp_path / "other")
        assert other.images == 11
    finally:
        free.set()
        first.join()
    assert rows(tmp_path / "out").equals(rows(tmp_path / "other"))


@pytest.mark.parametrize(("owner", "age", "refused"), [
    ("elsewhere:1:00", 0, True),  # on another machine
    ("elsewhere:1:00", lock.STALE + 1, False),
    (f"{os.uname().nodename}:{os.getpid()}:00", 0, False),  # of a container whose process had this number
    (f"{os.uname().nodename}:{2**22 + 1}:00", 0, False),  # of a process that is gone
    ("", 0, False),
], ids=["another machine", "another machine, old", "reused number", "ended", "empty"])  # fmt: skip
def test_a_lock_counts_while_its_run_lives(
    run: Run, photos: Path, tmp_path: Path, owner: str, age: float, refused: bool
) -> None:
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / lock.RUN_LOCK
    path.write_text(owner)
    os.utime(path, (time.time() - age,) * 2)
    if refused:
        with pytest.raises(OutputError, match="process 1 on elsewhere"):
            run(photos)
    else:
        assert run(photos).images == 11
        assert not path.exists()


@pytest.mark.parametrize(("options", "named"), [
    ({"shard_size": 4}, "images per shard 3, and this run has 4"),
    ({"min_confidence": 0.5}, "min-confidence 0.0, and this run has 0.5"),
    ({"empty": True}, "empty False, and this run has True"),
    ({"size": 256}, "size None, and this run has 256"),
    ({"model": "person"}, "model totems.onnx"),
])  # fmt: skip
def test_shards_of_other_settings_are_not_continued(
    run: Run, photos: Path, tmp_path: Path, options: dict[str, Any], named: str
) -> None:
    run(photos)
    before = shards(tmp_path / "out")
    with pytest.raises(OutputError, match=named):
        run(photos, resume=True, **options)
    assert shards(tmp_path / "out") == before


@pytest.mark.parametrize(("first", "second", "named"), [
    (None, False, "refine person-refine.*, and this run has None"),
    (None, True, "refined by default True, and this run has None"),
    (False, None, "refine None, and this run has person-refine"),
])  # fmt: skip
def test_shards_of_another_refinement_are_not_continued(
    run: Run, photos: Path, first: bool | None, second: bool | None, named: str
) -> None:
    run(photos, model="person", refine=first)
    with pytest.raises(OutputError, match=named):
        run(photos, model="person", refine=second, resume=True)
    assert run(photos, model="person", refine=first, resume=True).images == 11


def test_shards_of_other_sources_are_not_continued_and_overwrite_removes_them(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    run(photos)
    with pytest.raises(OutputError, match=r"sources .*photos, and this run has .*b"):
        run(photos / "b", resume=True)
    done = run(photos / "b", overwrite=True)
    assert (done.images, len(shards(tmp_path / "out"))) == (7, 3)
    assert set(rows(tmp_path / "out").column("image").to_pylist()) <= set(map(str, (photos / "b").rglob("*.png")))


@pytest.mark.parametrize(("options", "message"), [
    ({"engine": "spark"}, "engine must be local or ray, got 'spark'"),
    ({"workers": 2}, "workers is for the engine ray"),
    ({"gpus": 1}, "gpus is for the engine ray"),
    ({"address": "auto"}, "address is for the engine ray"),
    ({"engine": "ray", "workers": 3, "gpus": 2}, "3 workers cannot share 2 GPUs"),
    ({"engine": "ray", "workers": 0}, "workers must be 1 or more, got 0"),
    ({"shard_size": 0}, "shard_size must be 1 or more, got 0"),
    ({"retry_faults": True}, "retry_faults is for a run that goes on"),
    ({"resume": True, "overwrite": True}, "give one of them"),
    ({"smooth": 1.0}, "smooth needs track"),
    ({"model": "no.onnx"}, "no.onnx"),
])  # fmt: skip
def test_options_that_contradict_are_one_line(run: Run, photos: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(CairnError, match=message) as raised:
        run(photos, **options)
    assert "\n" not in str(raised.value)


def test_sources_that_name_nothing_are_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "empty", "0", "rtsp://camera/1"):
        with pytest.raises(CairnError) as raised:
            run(source)
        assert "\n" not in str(raised.value)
    with pytest.raises(CairnError, match=r"nothing could be read: .*cairn\.faults\.csv has the reasons"):
        run(tmp_path / "no.jpg")


def test_overlapping_sources_give_each_image_once(run: Run, photos: Path, tmp_path: Path) -> None:
    done = run(photos / "b", photos, photos / "b" / "c")
    assert done.images == 11
    images = rows(tmp_path / "out").column("image").to_pylist()
    assert len(set(images)) == sum(1 for i in range(11) if PLACES[i % 5])


def encoded(path: Path) -> bytes:
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["bytes", "struct", "paths", "uris"])
def test_tables_of_images_give_what_their_images_give(
    run: Run, photos: Path, tmp_path: Path, totem_model: Path, kind: str
) -> None:
    files = sorted(photos.rglob("*.png"))
    data = [encoded(file) for file in files]
    paths = list(map(str, files))
    column: Any = {
        "bytes": {"jpeg": pa.array(data, pa.binary()), "path": paths, "other": [1] * 11},
        "struct": {"photo": [{"bytes": one, "path": path} for one, path in zip(data, paths, strict=True)]},
        "paths": {"path": [os.path.relpath(path, tmp_path) for path in paths], "text": paths},
        "uris": {"uri": [file.as_uri() for file in files]},
    }[kind]
    pq.write_table(pa.table(column), tmp_path / "images.parquet", row_group_size=4)
    run(tmp_path / "images.parquet")
    model = cairn.load(totem_model, threads=1)
    expected = [value for file in files for pose in model(file) for value in pose.keypoints[:, 0].tolist()]
    table = rows(tmp_path / "out")
    np.testing.assert_array_equal(np.array(table.column("x").to_pylist(), np.float32), np.array(expected, np.float32))
    assert len(set(table.column("image").to_pylist())) == sum(len(model(file)) > 0 for file in files)


def test_damaged_rows_of_a_table_are_faults(run: Run, photos: Path, tmp_path: Path) -> None:
    good = encoded(photos / "00.png")
    pq.write_table(pa.table({"image": [good, b"no image", None, good[:100], good]}), tmp_path / "t.parquet")
    done = run(tmp_path / "t.parquet")
    assert (done.images, done.faults) == (2, 3)
    assert [image for image, _ in faults(tmp_path / "out")] == [f"{tmp_path}/t.parquet#{i}" for i in (1, 2, 3)]


def test_a_table_without_a_clear_column_names_the_option(run: Run, photos: Path, tmp_path: Path) -> None:
    good = encoded(photos / "00.png")
    pq.write_table(pa.table({"front": [good], "back": [good]}), tmp_path / "t.parquet")
    with pytest.raises(CairnError, match=r"not clear \(front, back\): choose it with --column"):
        run(tmp_path / "t.parquet")
    assert run(tmp_path / "t.parquet", column="back").images == 1
    with pytest.raises(CairnError, match=r"no images in the column 'side'.* front, back"):
        run(tmp_path / "t.parquet", column="side", out=tmp_path / "side")


def test_the_command_resumes_and_its_exit_status_tells_of_faults(
    photos: Path, tmp_path: Path, totem_model: Path, capsys: pytest.CaptureFixture
) -> None:
    (photos / "bad.jpg").write_text("no image")
    command = ["detect", str(photos), "--model", str(totem_model), "--out", str(tmp_path / "out"), "--threads", "1"]
    command += ["--write", "parquet", "--resume", "--shard-size", "4"]
    for before in ("", " (3 of them before)"):
        ended = run_cairn(capsys, *command)
        assert ended.status == 1
        assert (
            f"11 images, {rows(tmp_path / 'out').num_rows // 3} people, 3 shards{before}, 1 could not" in ended.stderr
        )
        assert ended.stderr.count("\n") == 1
    for wrong in (["--draw"], ["--json", "-"], ["--write", "csv"], ["--lift", "person-lift"], ["--engine", "spark"]):
        ended = run_cairn(capsys, *command, *wrong)
        assert ended.status == 2
        assert ended.stderr.startswith("cairn: ")
        assert ended.stderr.count("\n") == 1
    assert run_cairn(capsys, "detect", str(photos), "--shard-size", "3").status == 2


def test_a_worker_skips_what_ends_its_process(photos: Path, tmp_path: Path, totem_model: Path) -> None:
    from cairn.api.dataset.plan import Listing, Planner
    from cairn.api.dataset.work import LOST_WORKER, Aside, Work

    (plan,) = Planner((str(photos),), tmp_path, 100).plans(Listing())
    begun: list[int] = []
    work = ShardWorker(Work(tmp_path, totem_model, threads=1))
    record = work(0, plan.items, Aside(skip=[3], begin=begun.append))
    assert begun == [0, 1, 2, *range(4, 11)]
    assert (record.images, record.faults) == (10, [(plan.items[3].text, LOST_WORKER)])
    assert len(record.items) == 11

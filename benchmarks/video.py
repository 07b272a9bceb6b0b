"""Does video keep up with the network, and in constant memory?

    python benchmarks/video.py [MINUTES]

A clip of people images is detected, drawn and written in all forms: step by step, then whole, beside the network
alone, in turns in one process, so that what else the machine does falls on all alike. Times of steps are those of the
processor; ratios are of wall time. Then MINUTES (20) of small frames, for the memory alone.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2

import cairn
from cairn.api.detection import DetectionJob, Hooks, run_detection
from cairn.api.outputs import OutputOptions, make_writers
from cairn.inference.predictor import BottomUpPredictor
from cairn.inference.stream import StreamOptions, share_cores
from cairn.machine import available_cores
from cairn.media.images import read_image
from cairn.media.names import ImageName
from cairn.media.sources import Source, find_sources
from cairn.media.video import open_video, write_video
from cairn.results import Detections
from cairn.results.overlays import Drawings
from steps import averaged, looked_at, resized

IMAGE = Path(__file__).parents[1] / "examples" / "portraits.jpg"

FRAMES = 60
ROUNDS = 3


def write_clip(path: Path, size: tuple[int, int], frames: int) -> None:
    """The example image, which moves a pixel a frame, so that there is something to encode."""
    image = cv2.resize(read_image(IMAGE), (size[1] + 64, size[0]))
    with write_video(path, size, 25) as writer:
        for i in range(frames):
            writer.write(image[:, i % 64 : i % 64 + size[1]])


def job(model: BottomUpPredictor, folder: Path, clips: list[Source], draw: bool, threads: int) -> DetectionJob:
    return DetectionJob(
        sources=clips,
        predictor=model,
        stream=StreamOptions(threads=threads, on_error="yield"),
        writers=make_writers(OutputOptions(write=["json", "openpose", "csv", "coco"]), folder, [], model.spec),
        drawings=Drawings(folder, "mp4", threads) if draw else None,
        draw_threshold=model.spec.draw_threshold,
    )


def detect(model: BottomUpPredictor, clip: Path, every: Callable = lambda *_: None) -> int:
    """Returns the number of frames that were detected, drawn and written; `every` gets the number done so far."""
    clips = find_sources([str(clip)])
    hooks = Hooks(notice=lambda line: sys.exit(line), advance=every)
    return run_detection(job(model, clip.parent / "out", clips, True, 0), hooks).frames


def seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def by_step(model: BottomUpPredictor, clip: Path) -> None:
    """Processor milliseconds a frame of each step, one after another, on one core."""
    folder = clip.parent / "steps"
    what = job(model, folder, [], True, 1)
    spent: dict[str, float] = {}

    def timed(name: str, step: Callable) -> Callable:
        def run_it(*arguments: object) -> object:
            started = time.process_time()
            result = step(*arguments)
            spent[name] = spent.get(name, 0) + time.process_time() - started
            return result

        return run_it

    with open_video(clip, 1) as video, write_video(folder / "drawn.mp4", (480, 640), 25, 1) as drawing:
        for output in what.writers:
            output.__enter__()
        frames = iter(video)
        following = timed("read", lambda: next(frames, None))
        while (frame := following()) is not None:
            shown, affines = timed("resize", resized)(model, frame.image)
            scales = timed("network", looked_at)(model, shown)
            maps = timed("average", averaged)(scales, affines)
            poses = timed("decode", model.decode)(maps).transformed(affines[0].inverse())
            drawn = timed("draw", cairn.draw)(frame.image, poses)
            timed("encode", drawing.write)(drawn, frame.seconds)
            name = ImageName(clip, Path(f"clip_{frame.index:012d}"), Path("clip"), frame.index, frame.seconds)
            for output in what.writers:
                timed("write", output.write)(Detections(name, frame.image.shape[:2], poses))
        for output in what.writers:
            output.__exit__(None, None, None)
    print("processor time of a 640×480 frame      ms")
    for name, each in spent.items():
        print(f"  {name:10s} {1000 * each / FRAMES:28.1f}")
    rest = sum(each for name, each in spent.items() if name != "network")
    print(f"  all but the network, of the network {100 * rest / spent['network']:.0f}%")


def against_the_network(clip: Path) -> None:
    """Wall time of the whole against the network alone, on all cores, in turns.

    All cores are at one frame, or, as `cairn detect` has it, each of several frames has its share of them.
    """
    parallel, share = share_cores(0)
    whole, shared = (cairn.load("person", threads=threads) for threads in (available_cores(), share))
    image = next(iter(open_video(clip))).image
    shown, _ = resized(whole, image)
    looked_at(whole, shown)

    def several() -> None:
        with ThreadPoolExecutor(parallel) as pool:
            list(pool.map(lambda _: looked_at(shared, shown), range(FRAMES)))

    ways: dict[str, Callable[[], object]] = {
        "network alone, a frame at a time": lambda: [looked_at(whole, shown) for _ in range(FRAMES)],
        f"network alone, {parallel} parallel": several,
        "all steps in turn": lambda: in_turn(lambda: detect(whole, clip)),
        "overlapped, a frame at a time": lambda: detect(whole, clip),
        f"overlapped, {parallel} parallel": lambda: detect(shared, clip),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            times[name].append(seconds(way))
    first, fastest, *_ = times.values()
    columns = "ms a frame   of the network alone: a frame at a time, parallel"
    print(f"\n{available_cores()} cores                           {columns}")
    for name, each in times.items():
        ratios = [statistics.median(a / b for a, b in zip(each, base, strict=True)) for base in (first, fastest)]
        print(f"  {name:33s} {1000 * statistics.median(each) / FRAMES:10.1f} {ratios[0]:12.2f} {ratios[1]:12.2f}")


def in_turn(work: Callable[[], object]) -> object:
    """The work with nothing overlapped."""
    modules = cairn.inference.stream, cairn.api.detection
    before = modules[0].queue_length
    for module in modules:
        module.queue_length = lambda threads: 0
    try:
        return work()
    finally:
        for module in modules:
            module.queue_length = before


def memory(minutes: float, folder: Path) -> None:
    """Resident megabytes while a long video is read, detected, drawn and written."""
    clip, frames = folder / "long.mp4", round(minutes * 60 * 25)
    write_clip(clip, (120, 160), frames)
    model = cairn.load("person", size=64)
    marks = {round(share * frames): f"{100 * share:.0f}%" for share in (0.01, 0.25, 0.5, 1)}
    print(f"\n{minutes:g} minutes, {frames} frames, drawn and written       MB")

    def every(done: int, _: int | None) -> None:
        if done in marks:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            print(f"  {marks[done]:>4s} {pages * os.sysconf('SC_PAGE_SIZE') / 1e6:46.0f}", flush=True)

    detect(model, clip, every=every)


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, (480, 640), FRAMES)
        by_step(cairn.load("person", threads=1), clip)
        against_the_network(clip)
        memory(minutes, Path(folder))


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # quiet when piped into head
    main()

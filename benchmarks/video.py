"""Speed of video relative to the network alone, and memory over time.

    python benchmarks/video.py [MINUTES]

Detects, draws and writes a clip in four formats: step by step, then as a whole, against the network alone, in turns in
one process, so that other load affects all alike. Times of steps are processor times; ratios are of wall time. Then
MINUTES (20) of small frames, for memory only.
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
from contextlib import ExitStack
from pathlib import Path

import cv2

import cairn
from cairn.api.detection import Hooks
from cairn.api.outputs import OutputOptions, make_writers
from cairn.inference.predictor import BottomUpPredictor
from cairn.inference.stream import share_cores
from cairn.machine import available_cores
from cairn.media.images import read_image
from cairn.media.names import ImageName
from cairn.media.video import open_video, write_video
from cairn.results import Detections
from steps import average, resize, run_network

IMAGE = Path(__file__).parents[1] / "examples" / "portraits.jpg"

FORMATS = ("json", "openpose", "csv", "coco")
FRAMES = 60
ROUNDS = 3


def write_clip(path: Path, size: tuple[int, int], frames: int) -> None:
    """Writes the example image, moved by a pixel per frame, so that there is something to encode."""
    image = cv2.resize(read_image(IMAGE), (size[1] + 64, size[0]))
    with write_video(path, size, 25) as writer:
        for i in range(frames):
            writer.write(image[:, i % 64 : i % 64 + size[1]])


def detect(
    model: BottomUpPredictor, clip: Path, threads: int = 0, advance: Callable[[int, int | None], None] | None = None
) -> None:
    """Detects, draws and writes a clip. `advance` gets the number of finished frames."""
    hooks = Hooks() if advance is None else Hooks(advance=advance)
    cairn.detect(clip, model=model, out=clip.parent / "out", write=FORMATS, draw=True, threads=threads, hooks=hooks)


def seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def by_step(model: BottomUpPredictor, clip: Path) -> None:
    """Prints processor milliseconds per frame of each step, in sequence on one core."""
    folder = clip.parent / "steps"
    spent: dict[str, float] = {}

    def timed(name: str, step: Callable) -> Callable:
        def run_it(*arguments: object) -> object:
            started = time.process_time()
            result = step(*arguments)
            spent[name] = spent.get(name, 0) + time.process_time() - started
            return result

        return run_it

    with ExitStack() as stack:
        video = stack.enter_context(open_video(clip, 1))
        drawing = stack.enter_context(write_video(folder / "drawn.mp4", (480, 640), 25, 1))
        writers = make_writers(OutputOptions(write=FORMATS), folder, [], model.spec)
        for output in writers:
            stack.enter_context(output)
        frames = iter(video)
        following = timed("read", lambda: next(frames, None))
        while (frame := following()) is not None:
            inputs, affines = timed("resize", resize)(model, frame.image)
            scales = timed("network", run_network)(model, inputs)
            maps = timed("average", average)(scales, affines)
            poses = timed("decode", model.decode)(maps).transformed(affines[0].inverse())
            drawn = timed("draw", cairn.draw)(frame.image, poses)
            timed("encode", drawing.write)(drawn, frame.seconds)
            name = ImageName(clip, Path(f"clip_{frame.index:012d}"), Path("clip"), frame.index, frame.seconds)
            for output in writers:
                timed("write", output.write)(Detections(name, frame.image.shape[:2], poses))
    print("processor time of a 640×480 frame      ms")
    for name, each in spent.items():
        print(f"  {name:10s} {1000 * each / FRAMES:28.1f}")
    rest = sum(each for name, each in spent.items() if name != "network")
    print(f"  all but the network, relative to it {100 * rest / spent['network']:.0f}%")


def against_the_network(clip: Path) -> None:
    """Prints wall time of the whole against the network alone, in turns.

    Either all cores work on one frame at once, or, as in `cairn detect`, each of several frames gets a share of them.
    """
    parallel, share = share_cores(0)
    whole, shared = (cairn.load("person", threads=threads) for threads in (available_cores(), share))
    image = next(iter(open_video(clip))).image
    inputs, _ = resize(whole, image)
    run_network(whole, inputs)

    def several() -> None:
        with ThreadPoolExecutor(parallel) as pool:
            list(pool.map(lambda _: run_network(shared, inputs), range(FRAMES)))

    ways: dict[str, Callable[[], object]] = {
        "network alone, one frame at once": lambda: [run_network(whole, inputs) for _ in range(FRAMES)],
        f"network alone, {parallel} in parallel": several,
        "all steps in sequence": lambda: detect(whole, clip, threads=1),
        "overlapped, one frame at once": lambda: detect(whole, clip),
        f"overlapped, {parallel} in parallel": lambda: detect(shared, clip),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            times[name].append(seconds(way))
    first, fastest, *_ = times.values()
    print(f"\n{available_cores()} cores                        ms per frame   relative to network: one, parallel")
    for name, each in times.items():
        ratios = [statistics.median(a / b for a, b in zip(each, base, strict=True)) for base in (first, fastest)]
        print(f"  {name:33s} {1000 * statistics.median(each) / FRAMES:10.1f} {ratios[0]:12.2f} {ratios[1]:12.2f}")


def memory(minutes: float, folder: Path) -> None:
    """Prints resident megabytes while a long video is read, detected, drawn and written."""
    clip, frames = folder / "long.mp4", round(minutes * 60 * 25)
    write_clip(clip, (120, 160), frames)
    model = cairn.load("person", size=64)
    marks = {round(share * frames): f"{100 * share:.0f}%" for share in (0.01, 0.25, 0.5, 1)}
    print(f"\n{minutes:g} minutes, {frames} frames, drawn and written       MB")

    def advance(done: int, _: int | None) -> None:
        if done in marks:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            print(f"  {marks[done]:>4s} {pages * os.sysconf('SC_PAGE_SIZE') / 1e6:46.0f}", flush=True)

    detect(model, clip, advance=advance)


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

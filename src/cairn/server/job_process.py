"""The process of one job: `cairn.detect` on the video in its folder, which is the current one.

Started by `cairn.server.job_runner` as `python -m cairn.server.job_process`; it ends when the server does.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cairn.errors import CairnError, VideoError
from cairn.server.jobs import RESULTS
from cairn.server.protocol import Channel, Message

NICENESS = 5
"""Jobs leave the CPU to requests, whose clients wait."""

SECONDS_BETWEEN_REPORTS = 0.5

LIFTER = "person-lift"
"""Bundled model that lifts people to 3D."""


def run(values: dict[str, Any], report: Callable[[int, int | None], None]) -> list[str]:
    """Detects keypoints in the video, and writes the results.

    Args:
        values: The job: file, model, refine, formats, draw, track, min_confidence, device, and limits.
        report: Gets the number of frames that are done, and of all.

    Returns:
        What could not be read.

    Raises:
        CairnError: The video cannot be read, is too long or too large, or nothing could be written.
    """
    from cairn.api.detect import detect
    from cairn.api.detection import Hooks

    check_video(Path(values["file"]), values["pixels"])
    limit, last = values["frames"], 0.0

    def advance(done: int, total: int | None) -> None:
        nonlocal last
        if max(done, total or 0) > limit:
            raise VideoError(f"the video has more than {limit} frames, the limit of this server: cut it")
        if time.monotonic() - last > SECONDS_BETWEEN_REPORTS:
            last = time.monotonic()
            report(done, total)

    shutil.rmtree(RESULTS, ignore_errors=True)  # of an attempt before
    refine = values["refine"]
    done = detect(
        values["file"],
        model=Path(values["model"]),
        refine=False if refine is None else Path(refine),
        out=RESULTS,
        write=values["formats"],
        draw=values["draw"],
        track=values["track"],
        lift=LIFTER if values.get("lift") else None,  # jobs of before have no such option
        min_confidence=values["min_confidence"],
        device=values["device"],
        hooks=Hooks(notice=lambda line: None, advance=advance),
    )
    report(done.frames, done.frames)
    for folder in [each for each in Path(RESULTS).iterdir() if each.is_dir() and not each.name.startswith(".")]:
        shutil.make_archive(str(folder), "zip", folder)  # one file per frame
        shutil.rmtree(folder)
    return [str(error) for error in done.errors]


def check_video(path: Path, pixels: int) -> None:
    """Raises VideoError for a file that is no video, before anything else opens it.

    What FFmpeg would follow to other files, such as playlists, is none by its first bytes.
    """
    from cairn.media.content import content_of_file
    from cairn.media.images import image_size
    from cairn.media.sources import find_sources
    from cairn.media.video import open_video

    content = content_of_file(path)
    if content is None or content.kind == "other":
        raise VideoError(
            f"{path} is not a video in a supported format" + ("" if content is None else f": it is a {content.name}")
        )
    (source,) = find_sources([str(path)])
    if not source.is_clip:
        raise VideoError(f"{path} is an image, not a video: send it to /v1/detect")
    if content.kind == "video":
        with open_video(path) as video:
            height, width = video.size
    else:
        height, width = image_size(path)
    if height * width > pixels:
        raise VideoError(f"{path} has frames of {width}×{height} pixels; the limit is {pixels / 1e6:g} million")


def main() -> None:
    """Does the job that the server sends."""
    channel = Channel()
    message = channel.receive()
    if message is None:
        return
    threading.Thread(target=_end_with_server, args=(channel,), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(message.values["pixels"])
    try:
        warnings = run(message.values, lambda done, total: channel.send(Message({"done": done, "total": total})))
        channel.send(Message({"warnings": warnings}))
    except CairnError as error:
        channel.send(Message({"error": str(error)}))


def _end_with_server(channel: Channel) -> None:
    channel.receive()
    os._exit(1)


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(1)

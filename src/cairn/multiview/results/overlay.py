"""Videos with the reprojected keypoints, to see whether cameras and keypoints fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cairn.media.video import has_pyav, open_video, write_video
from cairn.multiview.reconstruction import Reconstruction
from cairn.structures.geometry import Size
from cairn.structures.poses import Poses
from cairn.visualization.overlay import draw


def draw_video(
    result: Reconstruction,
    camera: str,
    video: Path,
    target: Path,
    shift: int,
    report: Callable[[int, int], None],
    threads: int = 0,
) -> Path:
    """Writes a video of one camera with the keypoints of all tracks projected into it, and returns its path.

    Args:
        result: The tracks.
        camera: Name of the camera.
        video: Its video.
        target: The file without suffix: .mp4, or .webm without PyAV.
        shift: Number that is added to a frame number of the video for that of the tracks.
        report: Gets the number of frames done, and their total.
        threads: Number of CPU cores; 0 is all.

    Raises:
        VideoError: The video cannot be read.
        OutputError: The file cannot be written.
    """
    target = target.with_name(target.name + (".mp4" if has_pyav() else ".webm"))
    with (
        open_video(video, threads) as frames,
        write_video(target, frames.size, frames.rate, threads, frames.pixel_aspect) as writer,
    ):
        total = frames.frames or len(result)
        for frame in frames:
            if frame.image is not None:
                poses = reprojected(result, camera, frame.index + shift, frame.image.shape[:2])
                writer.write(draw(frame.image, poses, by="object"), frame.seconds)
            report(frame.index + 1, max(total, frame.index + 1))
    return target


def reprojected(result: Reconstruction, camera: str, frame: int, size: Size) -> Poses:
    """Returns the tracks of a frame in pixels of an image of a camera.

    Args:
        result: The tracks.
        camera: Name of the camera.
        frame: Number of the frame.
        size: (height, width) of the image.
    """
    tracks, own = result.trajectories, result.rig[camera]
    row = frame - tracks.start
    if not 0 <= row < len(tracks):
        return Poses.empty(tracks.skeleton)
    pixels = own.project(tracks.keypoints[row])
    if own.size is not None and abs(size[0] * own.size[1] / (size[1] * own.size[0]) - 1) < 0.002:
        pixels = (pixels + 0.5) * (size[0] / own.size[0]) - 0.5
    there = np.isfinite(pixels).all(axis=-1)
    confidence = np.where(there, np.maximum(tracks.confidence[row], 0.05), 0).astype(np.float32)
    present = there.any(axis=-1)
    pixels = np.where(there[..., None], pixels, np.nan).astype(np.float32)
    scores = confidence.mean(axis=-1)
    return Poses(pixels[present], confidence[present], scores[present], tracks.skeleton, tracks.ids[present])

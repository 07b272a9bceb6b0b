"""Reads the analysis files of SLEAP, its export of one video's predictions as arrays (.analysis.h5).

SLEAP writes the axes reversed, as MATLAB reads them; sleap-io states their order in an attribute:

    tracks          (T, 2, K, F)    points of T tracks in F frames
    point_scores    (T, K, F)       confidences; NaN for points that the user has placed
    node_names      (K,)            track_names (T,)    edge_names (E, 2)    video_path
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.hdf5 import check_readable, read_array
from cairn.datasets.formats.category import make_skeleton
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.instances import Instance, ListedImage, checked_points, collect
from cairn.datasets.formats.video_frames import extract_frames, find_video, folder_name
from cairn.datasets.labels import Labels
from cairn.errors import LabelError, MissingExtra, SkeletonError

AXES = ("frame", "track", "node", "xy")
REVERSED = ("track", "xy", "node", "frame")
PLAIN = ("frame", "node", "xy", "track")  # of SLEAP's export without reversed axes


def read_analysis(path: Path, options: ReadOptions) -> Labels:
    """Reads the points from a minimum confidence on, in the frames that have any.

    The frames are written as VIDEO/NUMBER.png into the folder `options.frames`.

    Raises:
        LabelError: The file cannot be used, the video is not found, or no folder for the frames is given.
        MissingExtra: h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtra("h5py", "io") from None
    check_readable([path])
    try:
        with h5py.File(path) as file:
            joints, tracks = _texts(file, "node_names"), _texts(file, "track_names")
            points = _confident_points(file, len(joints), len(tracks), options.confidence)
            edges = _texts(file, "edge_names").reshape(-1, 2).tolist()
            name = str(file.attrs.get("skeleton_name") or "animal")
            symmetries = json.loads(file.attrs.get("skeleton_symmetries", "[]"))
            video = _text(file["video_path"][()]) if "video_path" in file else ""
    except Exception as error:  # its type depends on how the file is damaged
        reason = f": {error}" if isinstance(error, ValueError) and len(str(error)) < 100 else ""
        raise LabelError(
            f"{path} is damaged, or not an analysis file of SLEAP ({type(error).__name__}{reason})"
        ) from None
    frames = np.flatnonzero(~np.isnan(points).all(axis=(1, 2, 3))).tolist()
    if not frames:
        raise LabelError(f"{path}: no prediction has a confidence of {options.confidence:g} or more")
    names = extract_frames(frames, _video(video, path, options), path, options)
    group = (f"video {folder_name(video)}",)
    instances: list[Instance] = []
    listed: list[ListedImage] = []
    for frame, image in zip(frames, names, strict=True):
        if image is None:
            continue
        with options.problems:
            record = f"{path}: frame {frame}"
            placed = [(track, checked_points(own, record)) for track, own in enumerate(points[frame])]
            hidden = np.zeros(len(joints), bool)
            instances += [Instance(image, own, hidden, track=track if len(tracks) else -1) for track, own in placed]
            listed.append(ListedImage(image, None, group, frame))
    known = {joint: i for i, joint in enumerate(joints)}
    limbs = [(known[a], known[b]) for a, b in edges if a in known and b in known]
    flips = [(known[a], known[b]) for a, b in symmetries if a in known and b in known]
    try:
        skeleton = make_skeleton(name, joints.tolist(), limbs, flips or None)
    except SkeletonError as error:
        raise LabelError(f"{path}: {error}") from None
    return collect(instances, skeleton, path, None, listed, problems=options.problems)


def _confident_points(file: Any, joints: int, tracks: int, minimum: float) -> NDArray[np.float64]:
    """(F, T, K, 2); NaN where there is none, or its confidence is lower than the minimum."""
    axes = _axes(file["tracks"], joints, tracks)
    points = np.transpose(read_array(file, "tracks"), [axes.index(axis) for axis in AXES]).astype(np.float64)
    if points.shape[2:] != (joints, 2):
        raise ValueError(f"tracks of {points.shape[2]} joints, node_names of {joints}")
    if "point_scores" in file:
        order = [axis for axis in axes if axis != "xy"]
        scores = np.transpose(read_array(file, "point_scores"), [order.index(axis) for axis in AXES[:3]])
        points[scores < minimum] = np.nan
    return points


def _axes(dataset: Any, joints: int, tracks: int) -> tuple[str, ...]:
    """The names of the axes, as stated or by their lengths."""
    if "dims" in dataset.attrs:
        return tuple(json.loads(dataset.attrs["dims"]))
    shape = dataset.shape
    fits_plain = shape[1:3] == (joints, 2) and shape[3] == max(tracks, 1)
    fits_reversed = shape[1:3] == (2, joints) and shape[0] == max(tracks, 1)
    return PLAIN if fits_plain and not fits_reversed else REVERSED


def _video(name: str, path: Path, options: ReadOptions) -> Path:
    """The file of the video, whose name may be of another machine."""
    if not name.strip():
        raise LabelError(f"{path} names no video: convert the .slp that it was exported from")
    file = find_video(name, path, options)
    if file is None:
        raise LabelError(f"{path}: no video at {name}: give its folder with --images")
    return file


def _texts(file: Any, name: str) -> NDArray[np.object_]:
    if name not in file:
        return np.array([], object)
    values = read_array(file, name)
    return np.array([_text(value) for value in values.ravel().tolist()], object).reshape(values.shape)


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)

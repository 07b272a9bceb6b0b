"""Sections 3.3 and 3.4 up to equation 11 as a part of an ONNX graph: peaks and the scores of all candidate limbs.

Matching and assembly, equations 12 to 16, remain: they are loops over few numbers, `decoder.group` in Python.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cairn.errors import ModelError
from cairn.inference.model_spec import CLASSES, VISIBILITY, ModelSpec
from cairn.inference.network import Maps
from cairn.inference.settings import with_defaults
from cairn.methods.openpose.decoder import Thresholds, decode, decode_crop, group
from cairn.ops.grouping import Connections
from cairn.ops.heatmaps import Peaks, render_gaussians
from cairn.ops.pafs import render_pafs
from cairn.structures.poses import Poses
from cairn.training.exporting.decoding.decoder import (
    VISIBLE,
    Arrays,
    GraphDecoder,
    Output,
    ToPixels,
    crop_outputs,
    one_pose,
    random_maps,
    visibility_at,
)
from cairn.training.exporting.decoding.graph import Value, concatenate
from cairn.training.exporting.decoding.limbs import LimbThresholds, score_limbs
from cairn.training.exporting.decoding.maps import find_peaks, values_at

ASSEMBLY = ("min_parts", "min_score", "ignore_keypoints", "matching", "order")
"""Settings of `decode` for what remains outside the graph."""

log = logging.getLogger(__name__)


def _add(maps: Mapping[str, Value], spec: ModelSpec, to_pixels: ToPixels) -> dict[str, Output]:
    if spec.task == "crop":
        return crop_outputs(maps, spec, with_defaults(decode_crop, spec.decode)["refinement"], to_pixels)
    limbs, count = spec.skeleton.limbs, len(spec.skeleton)
    if not limbs:
        raise ModelError(f"the skeleton of model {spec.name} has no limbs: there is nothing to assemble")
    settings = with_defaults(decode, spec.decode)
    threshold = settings["peak_threshold"]
    peaks = find_peaks(maps["heatmaps"].slice(1, 0, count), threshold, settings["max_peaks"])
    thresholds = LimbThresholds(
        settings["sample_threshold"], settings["sample_share"], threshold + 1e-6, settings["free_length"]
    )
    points = peaks.slice(3, 0, 2)
    outputs = {
        "peaks": Output(
            concatenate([to_pixels(points), peaks.slice(3, 2, 3)], 3),
            ("batch", count, "peaks", 3),
            "x, y in pixels of the image, and score, of the peaks of each keypoint, the highest first; score 0: none",
        ),
        "limbs": Output(
            score_limbs(maps["pafs"], peaks, limbs, thresholds),
            ("batch", len(limbs), "peaks", "peaks"),
            "score of each limb between peak i of its first and peak j of its second keypoint; 0: none",
        ),
    }
    if VISIBILITY in maps:
        outputs[VISIBILITY] = Output(visibility_at(maps[VISIBILITY], points), ("batch", count, "peaks"), VISIBLE)
    if CLASSES in maps:
        images = points.size(0)
        values = values_at(maps[CLASSES], points.reshape(images, -1, 2))
        outputs[CLASSES] = Output(
            values.reshape(images, count, -1, len(spec.classes)),
            ("batch", count, "peaks", len(spec.classes)),
            "score of each class at each peak; of an instance the class with the largest sum wins",
        )
    return outputs


def _assembly(spec: ModelSpec) -> dict[str, Any]:
    if spec.task == "crop":
        return {}
    settings = with_defaults(decode, spec.decode)
    if settings["second_try"]:
        log.warning("the second try of images without detections (decode.second_try) is not part of the graph")
    return {name: settings[name] for name in ASSEMBLY}


def _poses(outputs: Arrays, spec: ModelSpec) -> Poses:
    if spec.task == "crop":
        return one_pose(outputs, spec)
    skeleton, settings = spec.skeleton, with_defaults(decode, spec.decode)
    found = outputs["peaks"]
    joints, places = np.nonzero(found[..., 2] > 0)
    number = np.full(found.shape[:2], -1)
    number[joints, places] = np.arange(len(joints))
    # The number of a peak as its position: so that everything at the peak can be looked up.
    positions = np.stack([np.arange(len(joints)), np.zeros(len(joints))], axis=1).astype(np.float32)
    peaks = Peaks(joints, positions, found[joints, places, 2])
    limb, i, j = np.nonzero(outputs["limbs"])
    first, second = (np.array([pair[end] for pair in skeleton.limbs])[limb] for end in (0, 1))
    scores = outputs["limbs"][limb, i, j]
    connections = Connections.scored(limb, number[first, i], number[second, j], scores, peaks.scores)
    thresholds = Thresholds(0, 0, 0, settings["min_parts"], settings["min_score"])
    counted = np.ones(len(skeleton), dtype=bool)
    counted[[skeleton.index(joint) for joint in settings["ignore_keypoints"].split()]] = False
    poses = group(peaks, connections, skeleton, thresholds, counted, settings["matching"], settings["order"])
    there = poses.detected
    rows = np.where(there, poses.keypoints[..., 0], 0).astype(np.intp)

    def at_peaks(values: Any) -> Any:
        """The values of each keypoint (P, K, ...), of values (K, N, ...) at the peaks."""
        if not len(joints):
            return np.zeros((*rows.shape, *values.shape[2:]), np.float32)
        return values[joints, places][rows]

    poses = replace(poses, keypoints=np.where(there[..., None], at_peaks(found[..., :2]), np.nan).astype(np.float32))
    if VISIBILITY in outputs:
        poses = replace(poses, visibility=np.where(there, at_peaks(outputs[VISIBILITY]), np.nan).astype(np.float32))
    if CLASSES in outputs:
        sums = (at_peaks(outputs[CLASSES]) * there[..., None]).sum(axis=1)
        poses = replace(poses, classes=sums.argmax(axis=1).astype(np.int64), class_names=spec.classes)
    return poses


def _example(spec: ModelSpec) -> Maps:
    """Maps of three people, whose keypoints are anywhere."""
    if spec.task == "crop":
        return random_maps(spec)
    rng, skeleton, size = np.random.default_rng(0), spec.skeleton, (40, 48)
    points = rng.uniform(2, 36, (3, len(skeleton), 2))
    maps = {"heatmaps": render_gaussians(points, size, 1.0), "pafs": render_pafs(points, skeleton.limbs, size, 1.0)}
    for name, channels in ((CLASSES, len(spec.classes)), (VISIBILITY, len(skeleton))):
        if name in spec.outputs:
            maps[name] = rng.uniform(0, 1, (channels, *size)).astype(np.float32)
    return maps


DECODER = GraphDecoder(_add, _assembly, _poses, _example)

"""Checks of the images of one set of labels and of the positions of its keypoints."""

from __future__ import annotations

from typing import Any

import numpy as np

from cairn.datasets.checks.findings import Finding, examples, width_by_height
from cairn.datasets.checks.image_sizes import check_sizes
from cairn.datasets.containers.text_file import is_file
from cairn.datasets.labels import Labels
from cairn.datasets.similarity import Signatures
from cairn.wording import counted

TOLERANCE = 1.0
"""Distance in pixels that a keypoint may lie outside its image because of rounding."""


def check_images(name: str, labels: Labels, signatures: Signatures) -> list[Finding]:
    """Returns findings about images that are missing, unreadable, of another size than in the labels, or duplicates.

    Args:
        name: Name of the set.
        labels: The set.
        signatures: Signatures of its images.
    """
    findings = []
    paths = [image.path for image in labels]
    there = {i: is_file(paths[i]) for i in signatures.unreadable}
    missing, broken = ([i for i, exists in there.items() if exists == wanted] for wanted in (False, True))
    if missing:
        line = (
            f"{name}: {len(missing)} of {counted(len(paths), 'image')} missing: {examples([paths[i] for i in missing])}"
        )
        findings.append(Finding("error", "missing", line, tuple({"image": str(paths[i])} for i in missing)))
    if broken:
        reasons = [signatures.unreadable[i] for i in broken]
        line = f"{name}: {counted(len(broken), 'image')} cannot be read: {examples(reasons, '; ')}"
        cases = tuple({"image": str(paths[i]), "reason": reason} for i, reason in zip(broken, reasons, strict=True))
        findings.append(Finding("error", "unreadable", line, cases))
    findings += check_sizes(name, labels, signatures.sizes)
    findings += _duplicates(name, labels, signatures)
    return findings


def check_keypoints(name: str, labels: Labels) -> list[Finding]:
    """Returns findings about keypoints outside their image, and about images without a labeled keypoint.

    Args:
        name: Name of the set.
        labels: The set.
    """
    findings = []
    cases: list[dict[str, Any]] = []
    instances = labels.instances
    keypoints = instances.annotation.keypoints
    sizes = np.array([image.size[::-1] for image in labels], np.float64).reshape(-1, 2)
    limit = (sizes - 1 + TOLERANCE)[instances.images, None]
    with np.errstate(invalid="ignore"):
        outside = ((keypoints < -TOLERANCE) | (keypoints > limit)).any(axis=2)
    for index, joint in np.argwhere(outside).tolist():
        image = labels.images[instances.images[index]]
        cases.append(
            {
                "image": str(image.path),
                "instance": int(instances.rows[index]),
                "joint": labels.skeleton.joints[joint],
                "position": keypoints[index, joint].tolist(),
                "size": list(image.size[::-1]),
            }
        )
    if cases:
        lines = [
            f"{case['joint']} at {case['position'][0]:g}, {case['position'][1]:g} in {case['image']} "
            f"({width_by_height(case['size'])})"
            for case in cases
        ]
        line = f"{name}: {counted(len(cases), 'keypoint')} outside the image: {examples(lines, '; ')}"
        findings.append(Finding("warning", "outside", line, tuple(cases)))
    unlabeled = len(labels) - len(np.unique(instances.images[instances.annotation.labeled]))
    if unlabeled:
        line = f"{name}: {unlabeled} of {counted(len(labels), 'image')} without a labeled keypoint"
        findings.append(Finding("info", "unlabeled_images", line))
    return findings


def _duplicates(name: str, labels: Labels, signatures: Signatures) -> list[Finding]:
    """Images with identical pixels."""
    by_digest: dict[bytes, list[int]] = {}
    for i, digest in enumerate(signatures.digests):
        by_digest.setdefault(digest, []).append(i)
    duplicates = [
        [labels.images[i].path for i in rows] for digest, rows in by_digest.items() if digest and len(rows) > 1
    ]
    if not duplicates:
        return []
    lines = [" = ".join(path.name for path in paths) for paths in duplicates]
    line = f"{name}: {counted(len(duplicates), 'image')} with identical duplicates: {examples(lines, '; ')}"
    return [Finding("info", "duplicates", line, tuple({"images": list(map(str, paths))} for paths in duplicates))]

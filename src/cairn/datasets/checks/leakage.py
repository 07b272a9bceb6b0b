"""Data leakage between two sets of labels: shared images, near-duplicates, videos or subjects."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from cairn.datasets.checks.findings import Finding, examples
from cairn.datasets.labels import Labels
from cairn.datasets.near_duplicates import most_similar
from cairn.datasets.similarity import NEAR_DUPLICATE, Signatures
from cairn.datasets.split import declared_groups
from cairn.wording import counted

Set = tuple[str, Labels, Signatures]
"""Name of a set of labels, the labels, and the signatures of their images."""


def check_leakage(first: Set, second: Set) -> list[Finding]:
    """Returns findings about images of the second set that are in the first set, too, or related to its images."""
    return [*_shared_images(first, second), *_shared_groups(first, second)]


def _shared_images(first: Set, second: Set) -> list[Finding]:
    """Identical images and near-duplicates."""
    (name, labels, signatures), (other_name, other_labels, other_signatures) = first, second
    digests = {digest: i for i, digest in enumerate(signatures.digests) if digest}
    index, similarity = most_similar(other_signatures.thumbnails, signatures.thumbnails, NEAR_DUPLICATE)
    cases: list[dict[str, Any]] = []
    for i, digest in enumerate(other_signatures.digests):
        identical = digests.get(digest)
        if identical is not None or similarity[i] >= NEAR_DUPLICATE:
            twin = labels.images[identical if identical is not None else int(index[i])]
            value = 1.0 if identical is not None else min(float(similarity[i]), 1.0)
            cases.append(
                {
                    name: str(twin.path),
                    other_name: str(other_labels.images[i].path),
                    "similarity": round(value, 4),
                    "identical": identical is not None,
                }
            )
    if not cases:
        return []
    cases.sort(key=lambda case: (not case["identical"], -case["similarity"]))
    lines = [
        f"{PurePath(case[other_name]).name} = {PurePath(case[name]).name}"
        if case["identical"]
        else f"{PurePath(case[other_name]).name} ~ {PurePath(case[name]).name} ({case['similarity']:.3f})"
        for case in cases
    ]
    line = (
        f"data leakage: {len(cases)} of {counted(len(other_labels), 'image')} of {other_name} are duplicates or "
        f"near-duplicates of images of {name}: {examples(lines, '; ')}"
    )
    return [Finding("warning", "leakage", line, tuple(cases))]


def _shared_groups(first: Set, second: Set) -> list[Finding]:
    """Videos and subjects that both sets have, as the labels declare them."""
    (name, labels, _), (other_name, other_labels, _) = first, second
    groups, other_groups = declared_groups(labels), declared_groups(other_labels)
    shared = [group for group in other_groups if group in groups]
    if not shared:
        return []
    count = len({i for group in shared for i in other_groups[group]})
    line = (
        f"data leakage: {count} of {counted(len(other_labels), 'image')} of {other_name} belong to a video or subject "
        f"that {name} has, too: {examples(shared)}"
    )
    cases = tuple({"group": group, name: len(groups[group]), other_name: len(other_groups[group])} for group in shared)
    return [Finding("warning", "shared_groups", line, cases)]

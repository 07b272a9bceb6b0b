"""Everything that is worth knowing of labels before training: what stops it, what to look at, what to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.checks.suspects import Suspect, suspects
from cairn.datasets.labels import Labels
from cairn.datasets.similarity import NEAR_DUPLICATE, Signatures, most_similar, read_signatures
from cairn.datasets.split import declared_groups
from cairn.structures.skeleton import DEFAULT_SIGMA

Level = Literal["stop", "look", "note"]
"""Training cannot start; it can, but look at this first; good to know."""

SHOWN = 3  # examples in a line
FEW = 20  # labels of a joint to learn from, below which hardly anything is learned
EDGE = 1.0  # pixels beyond the image that rounding may take a point


@dataclass(frozen=True)
class Finding:
    """level, what kind of thing (`leak`, `missing`, ...), one line that says it, and all cases, for programs."""

    level: Level
    kind: str
    line: str
    cases: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, eq=False)
class Check:
    """What was found in one or several sets of labels of one skeleton, by name; the first is the one to learn from."""

    sets: dict[str, Labels]
    looks: dict[str, Signatures]
    findings: list[Finding] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)

    @property
    def status(self) -> int:
        """0: nothing to say against training; 1: it may start, but look; 2: it cannot."""
        levels = {finding.level for finding in self.findings}
        return 2 if "stop" in levels else 1 if "look" in levels else 0


def check(
    sets: Mapping[str, Labels],
    progress: Callable[[int], None] | None = None,
    skipped: Mapping[str, Sequence[str]] | None = None,
) -> Check:
    """What is to be said of labels.

    sets      labels in the joints of the first, by name
    progress  is called with how many images were read
    skipped   by the same names, one line for each record that could not be read
    """
    looks, done = {}, 0
    for name, labels in sets.items():
        already = done
        paths = [image.path for image in labels]
        looks[name] = read_signatures(paths, lambda n, already=already: progress(already + n) if progress else None)  # type: ignore[misc]
        done += len(labels)
    result = Check(dict(sets), looks)
    for name, lines in (skipped or {}).items():
        if lines:
            line = f"{name}: {_count(len(lines), 'record')} cannot be used: {_some(list(lines), '; ')}"
            result.findings.append(Finding("stop", "record", line, tuple({"why": reason} for reason in lines)))
    for name, labels in sets.items():
        result.findings.extend(_images(name, labels, looks[name]))
        result.findings.extend(_points(name, labels))
    names = list(sets)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            result.findings.extend(_leaks(result, first, second))
    result.findings.extend(_joints(sets))
    result.suspects.extend(suspects(sets))
    for kind, says in (("swap", "left and right seem swapped"), ("outlier", "a joint lies far from where it can be")):
        found = [suspect for suspect in result.suspects if suspect.kind == kind]
        if found:
            line = f"{_count(len(found), 'object')} of which {says}: {_some([s.caption for s in found], '; ')}"
            result.findings.append(Finding("look", kind, line, tuple(s.to_dict() for s in found)))
    order = ("stop", "look", "note")
    result.findings.sort(key=lambda finding: order.index(finding.level))
    return result


def _images(name: str, labels: Labels, look: Signatures) -> list[Finding]:
    """Missing, unreadable, of another size than the labels say, or several times in one set."""
    found = []
    paths = [image.path for image in labels]
    missing = [i for i in look.unreadable if not paths[i].is_file()]
    broken = [i for i in look.unreadable if i not in set(missing)]
    if missing:
        line = f"{name}: {len(missing)} of {_count(len(paths), 'image')} missing: {_some([paths[i] for i in missing])}"
        found.append(Finding("stop", "missing", line, tuple({"image": str(paths[i])} for i in missing)))
    if broken:
        cases = tuple({"image": str(paths[i]), "why": look.unreadable[i]} for i in broken)
        line = f"{name}: {_count(len(broken), 'image')} cannot be read: {_some([c['why'] for c in cases], '; ')}"
        found.append(Finding("stop", "unreadable", line, cases))
    sizes = zip(labels, look.sizes, strict=True)
    wrong: tuple[dict[str, Any], ...] = tuple(
        {"image": str(p.path), "labels": list(p.size[::-1]), "file": list(size[::-1])}
        for p, size in sizes
        if size != (0, 0) and size != tuple(p.size)
    )
    if wrong:
        says = [f"{c['image']} is {_by(c['file'])}, by the labels {_by(c['labels'])}" for c in wrong]
        line = f"{name}: {_count(len(wrong), 'image')} of another size than the labels say: {_some(says, '; ')}"
        found.append(Finding("look", "size", line, wrong))
    same: dict[bytes, list[int]] = {}
    for i, digest in enumerate(look.digests):
        same.setdefault(digest, []).append(i)
    twice = [rows for digest, rows in same.items() if digest and len(rows) > 1]
    if twice:
        says = [" = ".join(paths[i].name for i in rows) for rows in twice]
        line = f"{name}: {_count(len(twice), 'image')} more than once, to the pixel: {_some(says, '; ')}"
        found.append(Finding("note", "twice", line, tuple({"images": [str(paths[i]) for i in r]} for r in twice)))
    return found


def _points(name: str, labels: Labels) -> list[Finding]:
    """Labeled joints outside their image, and images without any."""
    found, cases, empty = [], [], 0
    for image in labels:
        rows = image.annotation
        empty += not rows.labeled.any()
        far = np.array(image.size[::-1]) - 1 + EDGE
        with np.errstate(invalid="ignore"):
            outside = ((rows.keypoints < -EDGE) | (rows.keypoints > far)).any(axis=2)
        for row, joint in zip(*np.nonzero(outside), strict=True):
            x, y = rows.keypoints[row, joint].tolist()
            cases.append(
                {
                    "image": str(image.path),
                    "object": int(row),
                    "joint": labels.skeleton.joints[joint],
                    "at": [x, y],
                    "size": list(image.size[::-1]),
                }
            )
    if cases:
        says = [f"{c['joint']} at {c['at'][0]:g}, {c['at'][1]:g} of {c['image']}, {_by(c['size'])}" for c in cases]
        line = f"{name}: {_count(len(cases), 'point')} outside the image: {_some(says, '; ')}"
        found.append(Finding("look", "outside", line, tuple(cases)))
    if empty:
        found.append(
            Finding("note", "empty", f"{name}: {_count(empty, 'image')} of {len(labels)} without a labeled joint")
        )
    return found


def _leaks(result: Check, first: str, second: str) -> list[Finding]:
    """Images of the second set that the first has, too: the same, nearly the same, or of one video or subject."""
    found = []
    ours, theirs = result.looks[first], result.looks[second]
    known = [image.path for image in result.sets[first]]
    new = [image.path for image in result.sets[second]]
    digests = {digest: i for i, digest in enumerate(ours.digests) if digest}
    index, similar = most_similar(theirs.thumbnails, ours.thumbnails)
    cases: list[dict[str, Any]] = []
    for i, digest in enumerate(theirs.digests):
        same = digests.get(digest)
        if same is not None or similar[i] >= NEAR_DUPLICATE:
            twin = known[same if same is not None else int(index[i])]
            value = 1.0 if same is not None else min(float(similar[i]), 1.0)
            cases.append(
                {first: str(twin), second: str(new[i]), "similarity": round(value, 4), "same": same is not None}
            )
    if cases:
        cases.sort(key=lambda case: (not case["same"], -case["similarity"]))
        says = [
            f"{_short(c[second])} {'is' if c['same'] else 'resembles'} {_short(c[first])}"
            + ("" if c["same"] else f" ({c['similarity']:.3f})")
            for c in cases
        ]
        line = (
            f"leak: {len(cases)} of {_count(len(new), 'image')} of {second} are in {first} too, or nearly: "
            f"{_some(says, '; ')}"
        )
        found.append(Finding("look", "leak", line, tuple(cases)))
    kin, others = declared_groups(result.sets[first]), declared_groups(result.sets[second])
    shared = [name for name in others if name in kin]
    if shared:
        count = len({i for name in shared for i in others[name]})
        line = (
            f"leak: {count} of {_count(len(new), 'image')} of {second} are of a video or subject that {first} has: "
            f"{_some(shared)}"
        )
        details = tuple({"shared": name, first: len(kin[name]), second: len(others[name])} for name in shared)
        found.append(Finding("look", "kin", line, details))
    return found


def _joints(sets: Mapping[str, Labels]) -> list[Finding]:
    """Joints with few labels or none, and sigmas that nobody has measured."""
    found = []
    skeleton = next(iter(sets.values())).skeleton
    for number, (name, labels) in enumerate(sets.items()):
        counts = joint_counts(labels)
        none = [joint for joint, count in zip(skeleton.joints, counts.tolist(), strict=True) if count == 0]
        if none:
            line = f"{name}: no label of {_some(none, ', ', 8)}"
            found.append(Finding("look", "unlabeled", line, tuple({"joint": joint} for joint in none)))
        few = {j: c for j, c in zip(skeleton.joints, counts.tolist(), strict=True) if 0 < c < FEW}
        if few and number == 0:
            line = f"{name}: fewer than {FEW} labels of {_some([f'{j} ({c})' for j, c in few.items()], ', ', 8)}"
            found.append(Finding("look", "few", line, tuple({"joint": j, "labels": c} for j, c in few.items())))
    unknown = [joint for joint, s in zip(skeleton.joints, skeleton.sigmas, strict=True) if s == DEFAULT_SIGMA]
    if unknown:
        line = (
            f"no OKS sigma is known of {_some(unknown, ', ', 4)}: {DEFAULT_SIGMA:g} is taken, "
            "so trust PCK and NME more than OKS"
        )
        found.append(Finding("note", "sigmas", line, tuple({"joint": joint} for joint in unknown)))
    if not skeleton.flip_pairs and any(joint.lower().startswith(("left", "right")) for joint in skeleton.joints):
        found.append(Finding("look", "flip", "joints are called left or right, but no two of them form a pair"))
    return found


def joint_counts(labels: Labels) -> NDArray[np.int64]:
    """(K,) how often each joint is labeled."""
    counts = np.zeros(len(labels.skeleton), np.int64)
    for image in labels:
        counts += (image.annotation.visibility > 0).sum(axis=0)
    return counts


def _some(values: list[Any], between: str = ", ", shown: int = SHOWN) -> str:
    more = len(values) - shown
    return between.join(map(str, values[:shown])) + (f"{between}and {more} more" if more > 0 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _by(size: list[int]) -> str:
    return f"{size[0]}×{size[1]}"


def _short(path: str) -> str:
    return path.rsplit("/", 1)[-1]

"""An evaluation for people and programs: metrics.json, a plot, the worst pictures, and one page with all of it."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from cairn.errors import MissingExtra, OutputError
from cairn.evaluation.mpii import JointPrecision
from cairn.evaluation.plot import pck_plot
from cairn.evaluation.run import Evaluation, MeanError, Pck
from cairn.evaluation.worst import Worst, worst_objects, worst_sheet
from cairn.image import write_image
from cairn.output import whole_file, writable_folder
from cairn.skeleton import Skeleton

NME = "NME, %"

FILES = ("metrics.json", "pck.png", "worst.jpg", "report.html")


def write_report(evaluation: Evaluation, folder: Path, about: Mapping[str, Any]) -> list[Path]:
    """Writes FILES into the folder, pck.png where there is a matplotlib, and returns what was written.

    about  what stands at the head of metrics.json and of the page: names of the model and of the labels
    Raises OutputError where the folder cannot be written to, or has one of FILES already.
    """
    free_of_reports(folder)
    worst = worst_objects(evaluation)
    figures = {**about, **metrics(evaluation), "worst": [entry.to_dict() for entry in worst]}
    written = [folder / "metrics.json"]
    with whole_file(written[0]) as path:
        path.write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    shown: dict[str, bytes] = {}
    try:
        shown["pck.png"] = pck_plot(evaluation.pck, parts(evaluation.labels.skeleton))
    except MissingExtra:  # a plot is no reason to install anything: the figures are all in metrics.json
        pass
    else:
        written.append(folder / "pck.png")
        with whole_file(written[-1]) as path:
            path.write_bytes(shown["pck.png"])
    written.append(folder / "worst.jpg")
    write_image(written[-1], worst_sheet(evaluation, worst))
    shown["worst.jpg"] = written[-1].read_bytes()
    written.append(folder / "report.html")
    with whole_file(written[-1]) as path:
        path.write_text(_page(evaluation, about, worst, shown), encoding="utf-8")
    return written


def free_of_reports(folder: Path) -> Path:
    """The folder, made and writable. Raises OutputError where it is not, or an earlier report lies there."""
    taken = [name for name in FILES if (folder / name).exists()]
    if taken:
        raise OutputError(f"{folder / taken[0]} is there already: give another folder with --out")
    return writable_folder(folder)


def metrics(evaluation: Evaluation) -> dict[str, Any]:
    """Every figure with what it stands on, as JSON can say it: what is not a number is None."""
    skeleton = evaluation.labels.skeleton
    pairs, error = evaluation.pairs, evaluation.error
    joints = skeleton.joints
    result: dict[str, Any] = {
        "pictures": len(evaluation.labels),
        "objects": len(pairs.truth),
        "milliseconds_per_picture": 1000 * evaluation.seconds,
        "skeleton": skeleton.name,
    }
    if evaluation.fit != "crop":
        result["objects_found"] = int(pairs.met.sum())
    if evaluation.oks is not None:
        result["oks"] = {**evaluation.oks, "sigmas": dict(zip(joints, skeleton.sigmas, strict=True))}
    if evaluation.ap is not None:
        result["mpii"] = {
            "means": meaning_of_ap(evaluation.ap),
            "mAP": evaluation.ap.value,
            "per_joint": dict(zip(joints, evaluation.ap.per_joint.tolist(), strict=True)),
        }
    result["pck"] = _pck_table(evaluation.pck, skeleton)
    if evaluation.pck_met is not None:
        result["pck_of_objects_found"] = _pck_table(evaluation.pck_met, skeleton)
    result["nme"] = {
        "protocol": error.protocol.name,
        "means": meaning_of_error(error),
        "value": error.value,
        "keypoints_not_found": error.missing,
        "objects_without_length": error.unmeasured,
        "per_joint": dict(zip(joints, error.per_joint.tolist(), strict=True)),
    }
    return _finite(result)


def name_of(pck: Pck) -> str:
    """`PCKh@0.5`, `PCK@0.2`."""
    return f"{'PCKh' if pck.protocol.name == 'mpii' else 'PCK'}@{pck.threshold:g}"


def meaning_of(pck: Pck) -> str:
    """What the figure stands on, in one line."""
    left = f", without {' and '.join(pck.protocol.left_out)}" if pck.protocol.left_out else ""
    mean = "mean over joints" if pck.mean == "joints" else "all keypoints pooled"
    return f"distance below {pck.threshold:g} of {pck.protocol.unit}; {mean}{left}{_without_length(pck.unmeasured)}"


def meaning_of_error(error: MeanError) -> str:
    """What NME stands on, in one line."""
    return f"mean distance of what was found, in percent of {error.protocol.unit}{_without_length(error.unmeasured)}"


def meaning_of_ap(ap: JointPrecision) -> str:
    """What mAP stands on, in one line."""
    return f"precision of joints within {ap.threshold:g} of the head, people assigned greedily; mean over joints"


def parts(skeleton: Skeleton) -> dict[str, tuple[int, ...]]:
    """Joint indices by part of the body, left and right together, as tables in papers have them."""
    result: dict[str, tuple[int, ...]] = {}
    partner = {a: b for pair in skeleton.flip_pairs for a, b in (pair, pair[::-1])}
    for i, joint in enumerate(skeleton.joints):
        other = partner.get(i, i)
        if other >= i:
            result[_without_side(joint, skeleton.joints[other])] = (i,) if other == i else (i, other)
    return result


def _without_length(objects: int) -> str:
    return f"; {objects} objects without that length do not count" if objects else ""


def _without_side(joint: str, other: str) -> str:
    for left, right in (("left", "right"), ("right", "left")):
        stripped = joint.replace(left, "", 1).strip("_-. ")
        if left in joint and stripped == other.replace(right, "", 1).strip("_-. "):
            return stripped
    return joint if joint == other else f"{joint}/{other}"


def _pck_table(pck: Pck, skeleton: Skeleton) -> dict[str, Any]:
    with_values = {
        name: np.array([pck.per_joint[i] for i in joints if pck.counts[i]])
        for name, joints in parts(skeleton).items()
    }  # fmt: skip
    return {
        "name": name_of(pck),
        "protocol": pck.protocol.name,
        "means": meaning_of(pck),
        "threshold": pck.threshold,
        "mean": pck.mean,
        "value": pck.value,
        "area_under_curve": pck.area,
        "objects_without_length": pck.unmeasured,
        "per_part": {name: float(values.mean()) if len(values) else None for name, values in with_values.items()},
        "per_joint": dict(zip(skeleton.joints, pck.per_joint.tolist(), strict=True)),
        "keypoints": dict(zip(skeleton.joints, pck.counts.tolist(), strict=True)),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def headline(evaluation: Evaluation) -> dict[str, str]:
    """The few figures that are quoted, by name."""
    pairs, pck, error = evaluation.pairs, evaluation.pck, evaluation.error
    rows: dict[str, str] = {}
    if evaluation.oks is not None:
        rows |= {f"OKS {name}": _number(value) for name, value in evaluation.oks.items()}
    if evaluation.ap is not None:
        rows[f"MPII mAP@{evaluation.ap.threshold:g}"] = _number(evaluation.ap.value)
    if evaluation.fit != "crop":
        rows["objects found"] = f"{int(pairs.met.sum())} of {len(pairs.truth)}"
    rows[name_of(pck)] = _number(pck.value)
    if evaluation.pck_met is not None:
        rows[f"{name_of(pck)} of objects found"] = _number(evaluation.pck_met.value)
    rows[f"AUC to {pck.threshold:g}"] = _number(pck.area)
    rows[NME] = _number(error.value, 2)
    rows["keypoints not found, %"] = _number(error.missing)
    if math.isfinite(evaluation.seconds):
        rows["ms a picture"] = _number(1000 * evaluation.seconds, 0)
    return rows


def joint_rows(evaluation: Evaluation) -> list[tuple[str, str, str, str, str]]:
    """(joint, keypoints, PCK, NME, sigma) of every joint."""
    pck, error, skeleton = evaluation.pck, evaluation.error, evaluation.labels.skeleton
    columns = zip(skeleton.joints, pck.counts, pck.per_joint, error.per_joint, skeleton.sigmas, strict=True)
    return [
        (joint, str(n), _number(share), _number(distance, 2), f"{sigma:.3f}")
        for joint, n, share, distance, sigma in columns
    ]


def _number(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .2rem .8rem; border-bottom: 1px solid #ddd }
td + td, th + th { text-align: right; font-variant-numeric: tabular-nums } img { max-width: 100%; height: auto }
"""


def _page(evaluation: Evaluation, about: Mapping[str, Any], worst: list[Worst], shown: Mapping[str, bytes]) -> str:
    """One HTML page that needs nothing else: pictures are inside."""

    def table(rows: list[tuple[str, ...]], head: tuple[str, ...] = ()) -> str:
        lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"] if head else []
        lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
        return "<table>" + "\n".join(lines) + "</table>"

    def picture(name: str, kind: str, alt: str) -> str:
        data = base64.b64encode(shown[name]).decode()
        return f'<img alt="{alt}" src="data:image/{kind};base64,{data}">'

    title = escape(" on ".join(str(value) for value in about.values()))
    named = name_of(evaluation.pck)
    sections = [
        f"<h1>{title}</h1>",
        f"<p>{len(evaluation.labels)} pictures, {len(evaluation.pairs.truth)} labelled objects. "
        f"{named}: {escape(meaning_of(evaluation.pck))}. {NME}: {escape(meaning_of_error(evaluation.error))}.</p>",
        table([(name, value) for name, value in headline(evaluation).items()]),
        "<h2>Joints</h2>",
        table(list(joint_rows(evaluation)), ("joint", "keypoints", named, NME, "OKS sigma")),
    ]
    if "pck.png" in shown:
        sections += ["<h2>Curve</h2>", picture("pck.png", "png", "PCK by threshold")]
    listed = "".join(f"<li>{escape(entry.caption)}</li>" for entry in worst)
    sections += [
        "<h2>Worst objects</h2>",
        "<p>Colours: what was found. White rings: the labels, with a red line to what was found for them.</p>",
        picture("worst.jpg", "jpeg", "the worst objects"),
        f"<ol>{listed}</ol>",
    ]
    body = "\n".join(sections)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )

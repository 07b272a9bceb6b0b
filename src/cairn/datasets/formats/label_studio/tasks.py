"""The tasks of a Label Studio file: their images, and the one annotation of each that counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cairn.datasets.containers.json_file import json_start, read_json
from cairn.datasets.image_files import SUFFIXES
from cairn.datasets.problems import Problems
from cairn.errors import LabelError

ANNOTATIONS = ("annotations", "completions")  # the second before version 1.0
TASK = {*ANNOTATIONS, "predictions", "drafts"}
MINIMAL = re.compile(rb'"(keypointlabels|rectanglelabels|original_width|annotation_id)"\s*:')
UPLOAD = re.compile(r"/data/upload/(?:\d+/)?([0-9a-f]{8}-)?([^/]+)$")
IMAGE_KEYS = ("image", "img", "image_url", "url")
PREDICTED = "model predictions are read, because no task has an annotation"


@dataclass(frozen=True)
class Task:
    """A task with its annotation.

    Attributes:
        names: Possible names of the image, the most likely first.
        results: The regions.
        record: Name of the task in messages.
    """

    names: tuple[str, ...]
    results: list[Any]
    record: str


def sniff(path: Path) -> bool:
    """Returns whether a file is a list of tasks, or one task."""
    start = json_start(path)
    if start.opening == "[":
        is_task = bool(start.inner & TASK) and not start.inner & {"joints", "keypoints"}
        return is_task or ("image_id" not in start.inner and MINIMAL.search(start.head) is not None)
    return "data" in start.keys and bool(start.keys & TASK) and "images" not in start.keys


def read_tasks(path: Path, problems: Problems) -> list[Task]:
    """Returns the annotated tasks.

    A task counts with its ground truth, or else with its latest annotation; canceled annotations do not. Where no task
    has an annotation, the predictions count, as in a file of pre-annotations.

    Raises:
        LabelError: A task has another structure, or there is no annotation.
    """
    content = read_json(path)
    entries = content if isinstance(content, list) else [content]
    if not entries or not all(isinstance(entry, dict) for entry in entries):
        raise LabelError(f"{path} is not Label Studio's: expected a list of tasks")
    if not any(TASK & entry.keys() for entry in entries):
        return list(_minimal(entries, path, problems))
    has_annotations = any(_candidates(entry, ANNOTATIONS) for entry in entries)
    keys = ANNOTATIONS if has_annotations else ("predictions",)
    tasks = []
    for i, entry in enumerate(entries):
        with problems:
            record = f"{path}: task {entry.get('id', i)!s:.40}"
            candidates = _candidates(entry, keys)
            if not candidates:
                problems.note("tasks without an annotation are skipped", record)
                continue
            if not has_annotations:
                problems.note(PREDICTED, record)
            if len(candidates) > 1:
                problems.note("of several annotations, the ground truth or else the latest is read", record)
            results = max(candidates, key=_rank).get("result")
            if not isinstance(results, list):
                raise LabelError(f"{record}: result must be a list, got {results!r:.60}")
            tasks.append(Task(image_names(entry.get("data"), record), results, record))
    if not tasks:
        raise LabelError(f"{path} has no annotation: label its tasks first")
    return tasks


def image_names(data: Any, record: str) -> tuple[str, ...]:
    """Returns possible names of the image of a task, by the address under which Label Studio shows it.

    Raises:
        LabelError: The task has no image.
    """
    texts = {key: value for key, value in data.items() if isinstance(value, str)} if isinstance(data, dict) else {}
    named = [texts[key] for key in IMAGE_KEYS if key in texts]
    named += [text for text in texts.values() if urlsplit(text).path.lower().endswith(SUFFIXES)]
    if not named:
        what = "is of a video: export its frames as images" if "video" in texts else "has no image in its data"
        raise LabelError(f"{record} {what}")
    address = named[0].strip()
    parts = urlsplit(address.replace("\\", "/")) if "://" in address or address.startswith("/data/") else None
    if parts is None:
        return (address,)
    local = parse_qs(parts.query).get("d")
    if local:
        return (local[0],)
    path = unquote(parts.path).lstrip("/")
    upload = UPLOAD.search("/" + path)
    if upload is None:
        return (path,)
    # An upload has 8 hexadecimal digits before the name that the user's file had.
    names = ((upload[1] or "") + upload[2], upload[2])
    return tuple(dict.fromkeys(names))


def _candidates(entry: dict[str, Any], keys: tuple[str, ...]) -> list[dict[str, Any]]:
    values: list[Any] = next((entry[key] for key in keys if isinstance(entry.get(key), list)), [])
    return [value for value in values if isinstance(value, dict) and not value.get("was_cancelled")]


def _rank(annotation: dict[str, Any]) -> tuple[bool, str]:
    times = [annotation.get(key) for key in ("updated_at", "created_at")]
    return bool(annotation.get("ground_truth")), next((time for time in times if isinstance(time, str)), "")


def _minimal(entries: list[dict[str, Any]], path: Path, problems: Problems) -> Iterator[Task]:
    """The tasks of JSON-MIN: one entry for each annotation, its regions under the names of the control tags."""
    latest: dict[Any, dict[str, Any]] = {}
    for i, entry in enumerate(entries):
        key = entry.get("id") if isinstance(entry.get("id"), int | str) else f"entry {i}"
        if key in latest:
            problems.note("of several annotations, the ground truth or else the latest is read", f"{path}: task {key}")
        if key not in latest or _rank(entry) >= _rank(latest[key]):
            latest[key] = entry
    for key, entry in latest.items():
        task = None
        with problems:
            regions = [
                {"value": value, **{side: value.get(side) for side in ("original_width", "original_height")}}
                for values in entry.values()
                if isinstance(values, list)
                for value in values
                if isinstance(value, dict)
            ]
            record = f"{path}: task {key!s:.40}"
            task = Task(image_names(entry, record), regions, record)
        if task is not None:
            yield task

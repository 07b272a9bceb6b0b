"""A project's config.yaml, which decides whose labels count, of which videos, and what the joints are."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from cairn.datasets.containers.text_file import read_text
from cairn.datasets.containers.yaml_file import SUFFIXES, read_yaml

NAME = "config.yaml"
MAX_DEPTH = 4  # folders from labeled-data/VIDEO or training-datasets/ITERATION/NAME up to the project

Limb = tuple[str, str]


@dataclass(frozen=True)
class Project:
    """What a config.yaml states. A tuple is empty where it states nothing.

    Attributes:
        path: The file.
        task: Name of the project.
        scorers: Name of the person who labels, as written and as YAML reads it.
        videos: Names of the videos without suffix, which are the names of their folders in labeled-data.
        joints: Body parts in order; those of a project with several animals, then the unique ones.
        unique: Body parts that occur once in an image with several animals.
        individuals: Names of the animals, where there are several.
        limbs: Pairs of body parts.
        identity: Whether an individual is the same animal in all images; None where it is not stated.
    """

    path: Path
    task: str
    scorers: tuple[str, ...]
    videos: tuple[str, ...]
    joints: tuple[str, ...]
    unique: tuple[str, ...]
    individuals: tuple[str, ...]
    limbs: tuple[Limb, ...]
    identity: bool | None


def find_project(path: Path) -> Project | None:
    """Returns the project of a file or folder: its own, or that of a folder above; None outside of a project.

    Raises:
        LabelError: config.yaml cannot be read.
        MissingExtra: PyYAML is not installed.
    """
    if path.suffix.lower() in SUFFIXES and path.is_file():
        return _read(path)
    folders = [path] if path.is_dir() else list(path.absolute().parents)[:MAX_DEPTH]
    return next((_read(folder / NAME) for folder in folders if (folder / NAME).is_file()), None)


def comparable(name: str) -> str:
    """Returns a name that is the same for all spellings of a file system (macOS decomposes accents)."""
    return unicodedata.normalize("NFC", name)


def _read(path: Path) -> Project | None:
    table = read_yaml(path)
    if "bodyparts" not in table:  # of another program
        return None
    import yaml

    texts = yaml.load(read_text(path), Loader=yaml.BaseLoader)  # strings alone: a scorer NO is no boolean
    several = table.get("multianimalproject") is True or table["bodyparts"] == "MULTI!"
    unique = _names(texts.get("uniquebodyparts")) if several else ()
    joints = (*_names(texts.get("multianimalbodyparts")), *unique) if several else _names(texts.get("bodyparts"))
    scorers = (texts.get("scorer"), table.get("scorer"))
    videos = texts.get("video_sets")
    identity = table.get("identity")
    return Project(
        path,
        task=_names([texts.get("Task")])[0] if _names([texts.get("Task")]) else "animal",
        scorers=tuple(dict.fromkeys(comparable(str(scorer)) for scorer in scorers if scorer not in (None, ""))),
        videos=tuple(_stem(video) for video in videos if isinstance(video, str) and video)
        if isinstance(videos, dict | list)
        else (),
        joints=tuple(dict.fromkeys(joints)),
        unique=unique,
        individuals=_names(texts.get("individuals")) if several else (),
        limbs=_limbs(texts.get("skeleton")),
        identity=identity if isinstance(identity, bool) else None,
    )


def _names(value: Any) -> tuple[str, ...]:
    return tuple(name for name in value if isinstance(name, str) and name) if isinstance(value, list) else ()


def _limbs(value: Any) -> tuple[Limb, ...]:
    """Chains of names as pairs: DeepLabCut connects neighbors."""
    chains = [_names(chain) for chain in value] if isinstance(value, list) else []
    return tuple((a, b) for chain in chains for a, b in pairwise(chain))


def _stem(video: str) -> str:
    """The name of a video without folder and suffix, of any operating system."""
    return comparable(PurePosixPath(video.replace("\\", "/")).stem)

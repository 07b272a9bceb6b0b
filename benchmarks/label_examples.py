"""A small valid file or folder of every readable label format: for the mutations of `mutations`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.writing import write_labels
from cairn.media.images import write_image
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton

MOTH = Skeleton("moth", ("head", "wingL", "wingR", "tail end"), ((0, 1), (0, 2)), (), ((1, 2),), (0.05,) * 4)
SIZE = (40, 60)
IMAGES = ("a.png", "sub/b.png")
FACE = np.array([[7, 6], [21, 7], [13, 15], [9, 22], [19, 23]])
"""Eyes, nose and corners of the mouth in the image."""

CONFIG = """data_root = 'data/'
dataset_info = dict(dataset_name='moth', keypoint_info={
    0: dict(name='head', id=0, swap=''), 1: dict(name='wingL', id=1, swap='wingR'),
    2: dict(name='wingR', id=2, swap='wingL'), 3: dict(name='tail end', id=3, swap='')},
    skeleton_info={0: dict(link=('head', 'wingL'), id=0)}, sigmas=[0.1, 0.2, 0.1, 0.1])
data = dict(
    train=dict(ann_file=f'{data_root}/labels.json', img_prefix='images/', dataset_info=dataset_info),
    val=dict(ann_file='data/labels.json', img_prefix='images/', dataset_info=dataset_info))
"""

WRITTEN = {  # written by Cairn: what is read, the file of it that is mutated, and how
    "coco": ("labels.json", "", "json"),
    "yolo": ("m.yolo", "labels/train/a.txt", "text"),
    "yolo yaml": ("m.yolo", "data.yaml", "text"),
    "deeplabcut": ("m.dlc/labeled-data/clip one/CollectedData_cairn.csv", "", "text"),
    "deeplabcut config": ("m.dlc", "config.yaml", "text"),
    "deeplabcut hdf5": ("m.dlc/labeled-data/clip one/CollectedData_cairn.h5", "", "hdf5"),
    "sleap": ("m.slp", "", "hdf5"),
    "cvat": ("m.cvat.xml", "", "text"),
    "labelme": ("m.labelme", "a.json", "json"),
    "label_studio": ("m.label_studio.json", "", "json"),
    "csv": ("m.csv", "", "text"),
    "parquet": ("m.parquet", "", "bytes"),
}


@dataclass(frozen=True)
class Example:
    """A valid file or folder.

    Attributes:
        format: Name of its format.
        path: What is read.
        file: The file that is mutated: the same, or one of a folder.
        kind: How it can be mutated: json, text, mat, hdf5 or bytes.
    """

    format: str
    path: Path
    file: Path
    kind: str


def examples(folder: Path) -> dict[str, Example]:
    """Writes one or more examples of each format into a folder; their names start with that of the format."""
    made = {**_written(folder / "written"), **_listed(folder), **_texts(folder), **_matlab(folder), **_hdf5(folder)}
    return {**made, **_project(folder / "project"), **_package(folder / "package")}


def _written(folder: Path) -> dict[str, Example]:
    labels = _labels(folder / "images")
    made: set[str] = set()
    found: dict[str, Example] = {}
    for name, (target, part, kind) in WRITTEN.items():
        root = target.split("/")[0]
        if root not in made:
            write_labels(labels, folder / root, form=name.split()[0])
            made.add(root)
        found[name] = Example(name.split()[0], folder / target, folder / target / part, kind)
    return found


def _labels(folder: Path) -> Labels:
    generator = np.random.default_rng(3)
    _draw(folder, IMAGES)
    images = []
    for number, name in enumerate(IMAGES, start=1):
        visibility = np.array([[2, 2, 1, 0], [2, 1, 2, 2]], np.uint8)
        points = np.where(visibility[..., None] > 0, generator.integers(4, 150, (2, 4, 2)) / 4, np.nan)
        boxes = np.array([[2, 3, 30, 20], [1, 1, 35, 36]], np.float32)
        areas, tracks = np.array([300, 400], np.float32), np.array([0, 1])
        annotation = Annotation(points.astype(np.float32), visibility, boxes, areas, np.zeros(2, bool), tracks=tracks)
        images.append(LabeledImage(number, folder / name, SIZE, annotation, ("video clip one",), 7 * number))
    return Labels(MOTH, tuple(images), np.ones(4, bool))


def _draw(folder: Path, names: tuple[str, ...], size: tuple[int, int] = SIZE) -> None:
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, np.full((*size, 3), 20 * i + 10, np.uint8))


def _listed(folder: Path) -> dict[str, Example]:
    """The formats of other tools in JSON."""
    people = [value for i in range(17) for value in (2.0 + i, 3.0, 0.9)]
    person = {"image_id": "a.png", "category_id": 1, "keypoints": people, "score": 1, "box": [1, 2, 3, 4]}
    point = {"shape_attributes": {"name": "point", "cx": 1, "cy": 2}, "region_attributes": {"joint": "a", "id": 1}}
    rectangle = {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}
    regions = [point, {"shape_attributes": rectangle, "region_attributes": {"id": 1}}]
    category = {"id": 1, "name": "moth", "keypoints": list(MOTH.joints), "skeleton": [[1, 2], [1, 3]]}
    coco = json.loads((folder / "written/labels.json").read_text())
    results = [{"image_id": 1, "category_id": 1, "keypoints": people[:12], "score": 0.9, "bbox": [1, 2, 30, 20]}]
    cairn = {
        "format": "cairn", "version": 1, "image": "a.png", "height": 40, "width": 60,
        "skeleton": {"name": "moth", "joints": list(MOTH.joints), "limbs": [[0, 1], [0, 2]]}, "category": category,
        "people": [
            {"id": 1, "keypoints": {joint: [3.0, 4.0, 0.9] for joint in MOTH.joints}, "box": [1, 2, 30, 20]},
        ],
    }  # fmt: skip
    mpii = {
        "joints": [[float(i + 1), 9.0] for i in range(16)], "joints_vis": [1] * 16, "center": [9.0, 9.0], "scale": 0.1,
        "image": "a.png",
    }  # fmt: skip
    self_joints = [[float(i + 1), 9.0, 1.0] for i in range(16)]
    root = {"joint_self": self_joints, "objpos": [9.0, 9.0], "scale_provided": 0.1, "img_paths": "a.png"}
    contents: dict[str, tuple[str, Any]] = {
        "alphapose": ("results.json", [person, person]),
        "openpose": ("a_keypoints.json", {"version": 1.3, "people": [{"pose_keypoints_2d": people[:45]}]}),
        "via": ("via.json", {"a.png1": {"filename": "a.png", "size": 1, "regions": regions}}),
        "cairn-json": ("a.cairn.json", cairn),
        "coco-results": ("r.coco.json", results),
        "mpii": ("mpii.json", [mpii, mpii]),
        "mpii root": ("root.json", {"root": [root | {"isValidation": 0}, root | {"isValidation": 1}]}),
        "coco-folder": ("annotations/person_keypoints_train2017.json", coco),
    }
    found: dict[str, Example] = {}
    for name, (target, content) in contents.items():
        own = folder / name
        _draw(own, IMAGES)
        file = own / target
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
        if name == "coco-folder":
            _draw(own / "train2017", IMAGES)
        path = own if name == "coco-folder" else file
        found[name] = Example(name.split()[0], path, file, "json")
    (folder / "coco-results/r.coco-images.json").write_text(json.dumps(coco))
    (folder / "mmpose/data").mkdir(parents=True)
    (folder / "mmpose/data/labels.json").write_text(json.dumps(coco))
    (folder / "mmpose/config.py").write_text(CONFIG)
    _draw(folder / "mmpose/images", IMAGES)
    config = folder / "mmpose/config.py"
    return {**found, "mmpose": Example("mmpose", config, config, "text")}


def _texts(folder: Path) -> dict[str, Example]:
    """The lists of faces and cats."""

    def line(values: Any) -> str:
        return " ".join(f"{value:g}" for value in np.ravel(values))

    points = np.random.default_rng(4).uniform(1, 30, (68, 2)).round(2)
    names = [f"original_{i}_{axis}" for i in range(68) for axis in "xy"]
    hrnet = ",".join(["image_name", "scale", "center_w", "center_h", *names])
    row = ",".join(map(str, ["a.png", 0.1, 20, 15, *points.ravel().tolist()]))
    places = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
    celeba = " ".join(f"{place}_{axis}" for place in places for axis in "xy")
    pts = "\n".join(line(point) for point in points)
    via = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
    shape = '"{""name"":""point"",""cx"":1,""cy"":2}","{""joint"":""%s"",""id"":1}"'
    contents = {
        "mtfl": ("training.txt", "".join(f" {name} {line(FACE.T)} 1 2 2 3\n" for name in IMAGES)),
        "face-csv": ("face_landmarks_test.csv", f"{hrnet}\n{row}\n{row}\n"),
        "celeba": ("list_landmarks_celeba.txt", f"2\n{celeba}\n" + "".join(f"{i}.png {line(FACE)}\n" for i in "ab")),
        "pts": ("a.pts", f"version: 1\nn_points: 68\n{{\n{pts}\n}}\n"),
        "cat": ("a.png.cat", f"9 {line(points[:9].round())} "),
        "via csv": ("via.csv", via + "".join(f'a.png,1,"{{}}",2,{i},{shape % i}\n' for i in range(2))),
    }
    found: dict[str, Example] = {}
    for name, (target, text) in contents.items():
        _draw(folder / name, (*IMAGES, "b.png"))
        file = folder / name / target
        file.write_text(text)
        found[name] = Example(name.split()[0], file, file, "text")
    return found


def _matlab(folder: Path) -> dict[str, Example]:
    """The published data sets in MATLAB files; none without scipy."""
    try:
        from scipy.io import savemat
    except ImportError:
        return {}

    def struct(**fields: Any) -> np.ndarray:
        table = np.empty((1, 1), dtype=[(name, object) for name in fields])
        for name, value in fields.items():
            table[name][0, 0] = value
        return table

    joint = struct(id=9, x=5.0, y=6.0, is_visible="1")
    person = struct(x1=1, y1=2, x2=4, y2=6, scale=0.1, objpos=struct(x=11, y=21), annopoints=struct(point=joint))
    release = struct(annolist=struct(image=struct(name="a.png"), annorect=person), img_train=np.array([[1]]))
    coords = np.arange(58.0).reshape(2, 29)
    movie = struct(filepath="a.png", coords=coords, torsobox=np.array([1.0, 2, 9, 9]), istrain=1, istest=0)
    lsp = np.concatenate([np.arange(56.0).reshape(2, 14, 2), np.ones((1, 14, 2))])
    variables: dict[str, dict[str, Any]] = {
        "mpii mat": {"RELEASE": release},
        "flic": {"examples": movie},
        "lsp": {"joints": lsp},
        "aflw": {"gt": np.stack([FACE, FACE]).astype(float), "hw": np.full((2, 2), 40)},
    }
    found: dict[str, Example] = {}
    make: dict[str, Callable[[Path], None]] = {"lsp": lambda own: _draw(own, ("im0001.jpg", "im0002.jpg"))}
    for name, content in variables.items():
        own = folder / name
        make.get(name, lambda own: _draw(own, IMAGES))(own)
        file = own / ("aflw_train_keypoints.mat" if name == "aflw" else "labels.mat")
        savemat(file, content)
        found[name] = Example(name.split()[0], file, file, "mat")
    names = folder / "aflw/aflw_train_images.txt"
    names.write_text("".join(f"{name}\n" for name in IMAGES))
    found["aflw names"] = Example("aflw", names, names, "text")
    return found


def _hdf5(folder: Path) -> dict[str, Example]:
    """The annotations of pose-hg-train, and predictions of SLEAP; none without h5py."""
    try:
        import h5py
    except ImportError:
        return {}

    own = folder / "pose_hg"
    _draw(own, IMAGES)
    joints = np.arange(64.0).reshape(2, 16, 2) % 40
    annotations: dict[str, Any] = {
        "imgname": [name.encode() for name in IMAGES], "part": joints, "visible": np.ones((2, 16)),
        "center": np.full((2, 2), 20.0), "scale": np.full(2, 0.1), "normalize": np.full(2, 5.0),
        "index": [0, 1], "person": [0, 0],
    }  # fmt: skip
    analysis: dict[str, Any] = {
        "tracks": np.arange(36.0).reshape(2, 2, 3, 3), "point_scores": np.full((2, 3, 3), 0.9),
        "node_names": [b"head", b"wingL", b"wingR"], "track_names": [b"one", b"two"],
        "edge_names": [[b"head", b"wingL"], [b"head", b"wingR"]], "video_path": "clip.avi",
    }  # fmt: skip
    found: dict[str, Example] = {}
    for name, target, values in (
        ("pose_hg", own / "valid.h5", annotations),
        ("sleap analysis", folder / "analysis/clip.analysis.h5", analysis),
    ):
        target.parent.mkdir(exist_ok=True)
        with h5py.File(target, "w") as file:
            for key, value in values.items():
                file[key] = value
        found[name] = Example(name.split()[0], target, target, "hdf5")
    writer = cv2.VideoWriter(str(folder / "analysis/clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, SIZE[::-1])
    for gray in (10, 30, 50):
        writer.write(np.full((*SIZE, 3), gray, np.uint8))
    writer.release()
    return found


def _project(folder: Path) -> dict[str, Example]:
    """A project of DeepLabCut without .csv, which is read where the .h5 is damaged; none without h5py."""
    path = folder / "m.dlc"
    write_labels(_labels(folder / "images"), path, form="deeplabcut")
    file = path / "labeled-data/clip one/CollectedData_cairn.h5"
    file.with_suffix(".csv").unlink()
    return {"deeplabcut project": Example("deeplabcut", path, file, "hdf5")} if file.exists() else {}


def _package(folder: Path) -> dict[str, Example]:
    """Labels of SLEAP with their images in the file; none without sleap-io."""
    try:
        import sleap_io
    except ImportError:
        return {}

    _draw(folder, IMAGES)
    video = sleap_io.Video.from_filename([str(folder / name) for name in IMAGES])
    skeleton = sleap_io.Skeleton(["head", "wingL", "wingR"], edges=[("head", "wingL")], name="moth")
    frames = []
    for i in range(len(IMAGES)):
        placed = sleap_io.Instance.from_numpy(np.arange(6.0).reshape(3, 2) + i, skeleton=skeleton)
        frames.append(sleap_io.LabeledFrame(video=video, frame_idx=i, instances=[placed]))
    labels = sleap_io.Labels(videos=[video], skeletons=[skeleton], labeled_frames=frames)
    file = folder / "m.pkg.slp"
    labels.save(str(file), embed="user", verbose=False)
    return {"sleap package": Example("sleap", file, file, "hdf5")}

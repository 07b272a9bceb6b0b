"""The file formats of labels: one module or package each, registered in one table.

A format is a module `formats/NAME.py`, or a package, with `FORMAT`, a `Format`, and one entry in `FORMATS`. The other
modules are shared by formats: `instances`, `marks`, `splits`, `category`, `point_rows`, `visibility`,
`visibility_attributes`, `stems`, `losses`, `coco_files`, `point_files`, `video_frames`; or they are files that are not
labels: `skeleton_file` (skeletons) and `boxes` (bounding boxes). `cairn.datasets.containers` reads the files as such.

Readers and writers import h5py, PyYAML, sleap-io, scipy and pyarrow when they are called.
"""

from __future__ import annotations

from cairn.datasets.formats import (
    aflw,
    alphapose,
    cat,
    celeba,
    coco,
    coco_folder,
    cvat,
    deeplabcut,
    face_csv,
    flic,
    label_studio,
    labelme,
    lsp,
    mmpose,
    mpii,
    mtfl,
    openpose_json,
    pts,
    results,
    sleap,
    table,
    via,
    yolo,
)
from cairn.datasets.formats.format import Format, ReadOptions

__all__ = ["FORMATS", "Format", "ReadOptions"]

# In the order in which `sniff` is asked: first those that need not walk a folder of many images.
FORMATS: tuple[Format, ...] = (
    aflw.FORMAT,
    celeba.FORMAT,
    mtfl.FORMAT,
    face_csv.FORMAT,
    yolo.FORMAT,
    mpii.POSE_HG,
    deeplabcut.FORMAT,
    sleap.FORMAT,
    results.CAIRN_JSON,
    cvat.FORMAT,
    labelme.FORMAT,
    via.FORMAT,
    label_studio.FORMAT,
    alphapose.FORMAT,
    results.COCO_RESULTS,
    openpose_json.FORMAT,
    coco.FORMAT,
    coco_folder.FORMAT,
    mmpose.FORMAT,
    table.CSV,
    table.PARQUET,
    pts.FORMAT,
    cat.FORMAT,
    mpii.FORMAT,
    flic.FORMAT,
    lsp.FORMAT,
)

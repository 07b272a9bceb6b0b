"""The file formats of labels: one module or package each, registered in one table.

A format is a module `formats/NAME.py`, or a package, with `FORMAT`, a `Format`, and one entry in `FORMATS`. The other
modules are shared by formats: `instances`, `category`, `visibility`, `matlab`, `hdf5`, `yaml_file`; or they are files
that are not labels: `skeleton_file`, `mmpose` (skeletons) and `boxes` (bounding boxes).

Readers and writers import h5py, PyYAML, sleap-io, scipy and pyarrow when they are called.
"""

from __future__ import annotations

from cairn.datasets.formats import coco, deeplabcut, flic, lsp, mpii, pts, results, sleap, table, yolo
from cairn.datasets.formats.format import Format, ReadOptions

__all__ = ["FORMATS", "Format", "ReadOptions"]

# In the order in which `sniff` is asked.
FORMATS: tuple[Format, ...] = (
    deeplabcut.FORMAT,
    yolo.FORMAT,
    sleap.FORMAT,
    results.CAIRN_JSON,
    results.COCO_RESULTS,
    coco.FORMAT,
    table.CSV,
    table.PARQUET,
    pts.FORMAT,
    mpii.FORMAT,
    flic.FORMAT,
    lsp.FORMAT,
)

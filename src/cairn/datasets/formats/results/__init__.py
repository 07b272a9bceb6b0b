"""Cairn's own results as labels: predict, correct in a labeling tool, train.

Each keypoint with at least `ReadOptions.confidence` is labeled as visible; instances without such a keypoint are
dropped. The tables `cairn.csv` and `cairn.parquet` are read by `formats.table`.
"""

from __future__ import annotations

from cairn.datasets.formats.results import cairn_json, coco_results

__all__ = ["CAIRN_JSON", "COCO_RESULTS"]

CAIRN_JSON = cairn_json.FORMAT
COCO_RESULTS = coco_results.FORMAT

"""Tracking metrics beside py-motmetrics and TrackEval, on random tracks.

    pip install motmetrics trackeval; python benchmarks/track_metrics.py [ROUNDS]

Prints the largest difference of each metric. The counts of CLEAR MOT can differ by definition: py-motmetrics keeps
matches over gaps, TrackEval takes the greatest sum of similarities and not the most matches.
"""

from __future__ import annotations

import sys

import motmetrics
import numpy as np
import trackeval
from numpy.typing import NDArray

from cairn.evaluation.metrics.hota import Frame
from cairn.evaluation.metrics.tracking import measure_frames


def random_frames(rng: np.random.Generator) -> list[Frame]:
    """Boxes on a line that move, are missed, exchanged and falsely detected."""
    places, ids = rng.uniform(0, 100, 5), np.arange(5)
    frames = []
    for _ in range(60):
        places = places + rng.normal(0, 2, 5)
        if rng.random() < 0.1:
            ids = rng.permutation(8)[:5]
        there, found = np.flatnonzero(rng.random(5) < 0.9), np.flatnonzero(rng.random(5) < 0.85)
        off = np.abs(places[there, None] - (places + rng.normal(0, 1, 5))[found])
        frames.append((there.astype(np.int64), ids[found].astype(np.int64), np.exp(-off / 3)))
    return frames


def by_motmetrics(frames: list[Frame]) -> dict[str, float]:
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for tracks, ids, near in frames:
        accumulator.update(tracks.tolist(), ids.tolist(), np.where(near >= 0.5, 1 - near, np.nan))
    names = ["mota", "idf1", "num_switches", "num_misses", "num_false_positives"]
    row = motmetrics.metrics.create().compute(accumulator, metrics=names).iloc[0]
    return {"MOTA": 100 * row.mota, "IDF1": 100 * row.idf1, "ID switches": row.num_switches}


def by_trackeval(frames: list[Frame]) -> dict[str, float]:
    def compact(values: list[NDArray]) -> tuple[list[NDArray], int]:
        known = np.unique(np.concatenate(values))
        return [np.searchsorted(known, each) for each in values], len(known)

    tracks, num_tracks = compact([frame[0] for frame in frames])
    ids, num_ids = compact([frame[1] for frame in frames])
    data = {
        "num_timesteps": len(frames),
        "num_gt_ids": num_tracks,
        "num_tracker_ids": num_ids,
        "num_gt_dets": sum(map(len, tracks)),
        "num_tracker_dets": sum(map(len, ids)),
        "gt_ids": tracks,
        "tracker_ids": ids,
        "similarity_scores": [frame[2] for frame in frames],
    }
    quiet = {"PRINT_CONFIG": False}
    hota = trackeval.metrics.HOTA().eval_sequence(data)
    clear, identity = trackeval.metrics.CLEAR(quiet).eval_sequence(data), trackeval.metrics.Identity(quiet)
    return {
        "HOTA": 100 * hota["HOTA"].mean(),
        "DetA": 100 * hota["DetA"].mean(),
        "AssA": 100 * hota["AssA"].mean(),
        "MOTA": 100 * clear["MOTA"],
        "IDF1": 100 * identity.eval_sequence(data)["IDF1"],
        "ID switches": clear["IDSW"],
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    worst: dict[tuple[str, str], float] = {}
    for seed in range(rounds):
        frames = random_frames(np.random.default_rng(seed))
        own = measure_frames(frames)
        mine = {"HOTA": own.hota.hota, "DetA": own.hota.deta, "AssA": own.hota.assa}
        mine |= {"MOTA": own.mota, "IDF1": own.idf1, "ID switches": own.switches}
        for library, measured in (("motmetrics", by_motmetrics(frames)), ("trackeval", by_trackeval(frames))):
            for name, value in measured.items():
                key = library, name
                worst[key] = max(worst.get(key, 0.0), abs(float(value) - mine[name]))
    for (library, name), difference in worst.items():
        print(f"{library} {name}: {difference:.2g}")


if __name__ == "__main__":
    main()

"""PCK and NME of paired instances under a protocol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.evaluation.metrics.pck import (
    Mean,
    area_under_curve,
    average,
    count,
    mean_error,
    normalized_errors,
    not_detected,
    pck,
)
from cairn.evaluation.pairing import Pairs
from cairn.evaluation.protocols import Protocol


@dataclass(frozen=True, eq=False)
class Pck:
    """PCK under a protocol, with everything that its values depend on.

    Attributes:
        protocol: Defines the reference length and the joints that the mean ignores.
        threshold: Threshold of the distance in reference lengths.
        mean: How `value` and `area` average over keypoints.
        errors: (N, K) normalized errors, see `pck.normalized_errors`.
        per_joint: (K,) percent.
        counts: (K,) labeled keypoints.
        counted: (K,) labeled keypoints that enter the mean: 0 for the joints that the protocol ignores.
        value: Mean over the joints, in percent.
        area: Area under the PCK curve from 0 to `threshold` (`pck.area_under_curve`), in percent, averaged as `value`.
        unmeasured: Number of annotated instances without a reference length; they are ignored.
    """

    protocol: Protocol
    threshold: float
    mean: Mean
    errors: NDArray[np.float64]
    per_joint: NDArray[np.float64]
    counts: NDArray[np.int64]
    counted: NDArray[np.int64]
    value: float
    area: float
    unmeasured: int


@dataclass(frozen=True, eq=False)
class MeanError:
    """Normalized mean error (NME) of the detected keypoints, in percent of the protocol's reference length.

    Attributes:
        protocol: Defines the reference length.
        per_joint: (K,) percent.
        value: Mean over all detected keypoints, in percent.
        not_detected: Percentage of labeled keypoints that were not detected; they enter no mean.
        unmeasured: Number of annotated instances without a reference length; they are ignored.
    """

    protocol: Protocol
    per_joint: NDArray[np.float64]
    value: float
    not_detected: float
    unmeasured: int


def measure_pck(pairs: Pairs, protocol: Protocol, threshold: float | None = None, mean: Mean = "joints") -> Pck:
    """Returns the PCK of paired instances.

    Args:
        pairs: Annotated instances and their predictions.
        protocol: Defines the reference length.
        threshold: Threshold of the distance in reference lengths; None takes the protocol's default.
        mean: How to average over keypoints.

    Raises:
        LabelError: No instance has the protocol's reference length.
    """
    limit = protocol.threshold if threshold is None else threshold
    lengths = protocol.lengths(pairs.ground_truth, pairs.skeleton)
    errors = normalized_errors(pairs.predicted, pairs.ground_truth.keypoints, lengths)
    per_joint, counts = pck(errors, limit), count(errors)
    counted = np.where(np.isin(pairs.skeleton.joints, protocol.ignored_joints), 0, counts)
    return Pck(
        protocol=protocol,
        threshold=limit,
        mean=mean,
        errors=errors,
        per_joint=per_joint,
        counts=counts,
        counted=counted,
        value=average(per_joint, counted, mean),
        area=average(area_under_curve(errors, limit), counted, mean),
        unmeasured=int((~(lengths > 0)).sum()),
    )


def measure_error(pairs: Pairs, protocol: Protocol) -> MeanError:
    """Returns the NME of paired instances under a protocol."""
    lengths = protocol.length(pairs.ground_truth, pairs.skeleton)
    errors = 100 * normalized_errors(pairs.predicted, pairs.ground_truth.keypoints, lengths)
    per_joint, detected = mean_error(errors), np.isfinite(errors).sum(axis=0)
    return MeanError(
        protocol=protocol,
        per_joint=per_joint,
        value=average(per_joint, detected, "pooled"),
        not_detected=average(not_detected(errors), count(errors), "pooled"),
        unmeasured=int((~(lengths > 0)).sum()),
    )

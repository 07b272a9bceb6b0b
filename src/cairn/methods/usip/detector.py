"""Keypoints of point clouds by a model of USIP, in NumPy and ONNX: sampling and grouping are outside of the graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cairn.errors import CloudError
from cairn.inference.session import open_model
from cairn.inference.spec import Spec
from cairn.methods.usip.grouping import Array, Frames, Grouping, Groups, group
from cairn.pointclouds.lengths import Length, described
from cairn.pointclouds.neighbors import resolution
from cairn.pointclouds.normals import with_normals
from cairn.structures.cloud import Cloud, CloudKeypoints

PART = 5000
"""Number of nodes that the network takes at a time."""

Positive = Annotated[float, Field(gt=0)]


class CloudSpec(Spec):
    """The specification of a model of point clouds.

    Attributes:
        format: Version of this specification.
        task: Keypoints of point clouds.
        spacing: Distance between nodes, in multiples of the resolution of the cloud.
        cells: Cells of the thinning grid along the spacing.
        points: Number of points of a node.
        neighbors: Number of neighboring nodes.
        normals: Whether the network takes normals.
        frames: Frame of the points of a node: that of the cloud, or one of the node's neighborhood.
        nms: Default radius of non-maximum suppression, in multiples of the spacing.
        max_sigma: Default maximum uncertainty of a keypoint, in multiples of the spacing; None for no limit.
    """

    format: Literal[1] = 1
    task: Literal["cloud"] = "cloud"
    spacing: Positive
    cells: Positive
    points: Annotated[int, Field(ge=1)]
    neighbors: Annotated[int, Field(ge=1)]
    normals: bool = False
    frames: Frames = "cloud"
    nms: Annotated[float, Field(ge=0)] = 0.7
    max_sigma: Positive | None = None


@dataclass(frozen=True)
class Options:
    """How keypoints are detected and selected.

    Attributes:
        spacing: Distance between nodes, the scale of keypoints; None for that of the model.
        nms_radius: Radius within which a keypoint is the most certain one; None for that of the model.
        count: Maximum number of keypoints; None for all.
        max_sigma: Maximum uncertainty of a keypoint, in multiples of the spacing; None for that of the model.
        snap: Whether keypoints are moved to the nearest point of the cloud.

    Raises:
        CloudError: A value is impossible.
    """

    spacing: Length | None = None
    nms_radius: Length | None = None
    count: int | None = None
    max_sigma: float | None = None
    snap: bool = False

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise CloudError(f"the number of keypoints must be at least 1, got {self.count}")
        if self.max_sigma is not None and not self.max_sigma > 0:
            raise CloudError(f"max-sigma must be positive, got {self.max_sigma:g}")


class CloudDetector:
    """A model of USIP in an .onnx file: called with a cloud, it returns `CloudKeypoints`, the most certain first.

    Attributes:
        path: The file.
        spec: The specification in the file.
        device: The device in use, such as "cpu" or "cuda:0".
    """

    def __init__(self, path: str | Path, threads: int = 0, device: str = "cpu") -> None:
        """Opens a file.

        Args:
            path: The .onnx file.
            threads: Number of CPU cores; 0 is all.
            device: Device to run on.

        Raises:
            ModelError: The file is not a model of point clouds, or the device is not available.
        """
        self.path = Path(path)
        self._session, self.device, self.spec = open_model(self.path, CloudSpec, threads, device, path)

    def __repr__(self) -> str:
        return f"CloudDetector({self.spec.name}: nodes {self.spec.spacing:g} x resolution apart)"

    def __call__(self, cloud: Cloud, options: Options = Options()) -> CloudKeypoints:
        """Returns the keypoints of a cloud, with their uncertainties sigma in the unit of the cloud.

        Raises:
            CloudError: The cloud has fewer than two different points, or the spacing is far too small for it.
        """
        from scipy.spatial import cKDTree

        dense = resolution(cloud)
        spacing = (options.spacing or Length(self.spec.spacing)).in_cloud(cloud, dense)
        radius = self.spec.nms * spacing if options.nms_radius is None else options.nms_radius.in_cloud(cloud, dense)
        places, sigma = self.propose(cloud, spacing)
        rows = suppressed(places, sigma, radius)
        limit = options.max_sigma or self.spec.max_sigma
        if limit is not None:
            rows = rows[sigma[rows] <= limit * spacing]
        rows = rows[: options.count]
        _, indices = cKDTree(cloud.points).query(places[rows])
        indices = np.asarray(indices, np.int64)
        points = cloud.points[indices] if options.snap else places[rows]
        summary = (
            f"resolution {dense:.4g} {cloud.unit or 'units'}, node spacing {described(spacing, dense, cloud.unit)}, "
            f"NMS radius {described(radius, dense, cloud.unit)}"
        )
        return CloudKeypoints(points, sigma[rows], indices, cloud, "sigma", (), self.spec.name, summary)

    def propose(self, cloud: Cloud, spacing: float) -> tuple[Array, Array]:
        """Returns one keypoint (M, 3) for each node, and its sigma (M,), in the unit of the cloud."""
        spec = self.spec
        grouping = Grouping(spec.cells, spec.points, spec.neighbors, spec.normals, spec.frames)
        origin = cloud.points.mean(axis=0)
        normals = with_normals(cloud).normals if spec.normals else None
        groups = group(cloud.points - origin, normals, spacing, grouping)
        offsets, sigma = self._run(groups)
        return groups.nodes + (offsets[:, None] @ groups.frames)[:, 0] * spacing + origin, sigma * spacing

    def _run(self, groups: Groups) -> tuple[Array, Array]:
        """Returns the offsets (M, 3) and sigmas (M,) of nodes, which are run in parts that fit into memory."""
        names = [each.name for each in self._session.get_inputs()]
        offsets, sigma = np.empty((len(groups), 3)), np.empty(len(groups))
        for rows in groups.parts(PART):
            part = groups.around(rows)
            outputs = self._session.run(["offsets", "sigma"], dict(zip(names, part, strict=True)))
            offsets[rows], sigma[rows] = (output[0, : len(rows)] for output in outputs)
        return offsets, sigma


def suppressed(points: Array, sigma: Array, radius: float) -> NDArray[np.int64]:
    """Returns the rows of points whose sigma is the lowest within a radius of them, the most certain first.

    A point that is suppressed suppresses no other.
    """
    from scipy.spatial import cKDTree

    order = np.argsort(sigma, kind="stable")
    if not radius > 0:
        return order
    tree, kept = cKDTree(points), np.ones(len(points), bool)
    chosen = []
    for row in order:
        if kept[row]:
            chosen.append(row)
            kept[tree.query_ball_point(points[row], radius)] = False
    return np.array(chosen, np.int64)

"""Recipes of the method `usip`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from cairn.methods.usip.grouping import Frames
from cairn.training import recipe as shared
from cairn.training.recipe import BasicRecipe, Count, Positive, Section

Share = Annotated[float, Field(ge=0, le=1)]


class Clouds(Section):
    """Point clouds or meshes.

    Attributes:
        path: A file, or a folder of files.
    """

    path: Path


class Data(Section):
    """Clouds to train and validate on.

    Attributes:
        train: Clouds to train on.
        val: Clouds to validate on. Without them, some of the training clouds are held out; a single one serves both.
        holdout: Share of the clouds that is held out.
        points: Number of points that meshes are sampled with, and that clouds are thinned to.
    """

    train: tuple[Clouds, ...] = ()
    val: tuple[Clouds, ...] = ()
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.1
    points: Count = 30000


class Views(Section):
    """The views of a cloud that a pair is made of.

    Attributes:
        spacing: Distance between nodes, in multiples of the resolution of the view. It is the scale of a model: all
            lengths that the network takes and predicts are in multiples of it.
        scans: Share of views that are scans: range images from one side, of the visible points only.
        angle: Maximum angle in degrees between the sides of two scans.
        density: Half the range of the logarithm of the density of points along a line.
        scale: Maximum factor on the distance between points: with 1 all views are as fine as the cloud allows.
        jitter: Mean of the standard deviation of noise, in multiples of the resolution.
    """

    spacing: Positive = 6.0
    scans: Share = 0.7
    angle: Annotated[float, Field(ge=0, le=180)] = 50.0
    density: Annotated[float, Field(ge=0, le=1)] = 0.1
    scale: Annotated[float, Field(ge=1)] = 1.3
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.1


class Input(Section):
    """The input of the network.

    Attributes:
        nodes: M, the maximum number of nodes of a training view.
        points: P, the number of points of a node.
        neighbors: K, the number of nodes whose features are aggregated: the receptive field. Section 3.4 of the paper
            on degenerate keypoints: too many, and all keypoints are in the middle of the cloud.
        cells: Cells of the thinning grid along the spacing of nodes.
        normals: Whether the network takes normals.
        frames: Frame of the points of a node: "cloud", that of the cloud as in the paper, so that training teaches
            that keypoints turn with the cloud; or "node", by the shape of the neighborhood, so that they always do.
    """

    nodes: Annotated[int, Field(ge=32)] = 192
    points: Count = 24
    neighbors: Annotated[int, Field(ge=2)] = 16
    cells: Annotated[float, Field(ge=1)] = 4.0
    normals: bool = False
    frames: Frames = "cloud"


class NetworkSettings(Section):
    """The network of the paper.

    Attributes:
        width: Width of the features of nodes.
        fusion: Width of the features over neighboring nodes.
        head: Widths of the hidden layers of the last MLP.
    """

    width: Annotated[int, Field(ge=2)] = 128
    fusion: Annotated[int, Field(ge=2)] = 512
    head: tuple[Count, ...] = (512, 256)


class Loss(Section):
    """The loss.

    Attributes:
        surface: Weight (lambda) of the distance from keypoints to the cloud.
        kind: "point": distance to the nearest point; "plane": to the plane of the nearest point, which needs
            normals: of meshes or of the clouds, otherwise estimated.
    """

    surface: Annotated[float, Field(ge=0)] = 1.0
    kind: Literal["point", "plane"] = "point"


class Optimizer(shared.Optimizer):
    """Adam as in the paper, with the schedule of Cairn."""

    name: Literal["adamw", "adam", "sgd", "rmsprop"] = "adam"
    learning_rate: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class Run(shared.Run):
    """Length and batches; the batch size counts pairs."""

    epochs: Count = 50
    batch_size: Annotated[int, Field(ge=2)] = 8
    workers: Annotated[int, Field(ge=0)] | None = 0
    validate_every: Count = 5


class Recipe(BasicRecipe):
    """All settings of a run.

    Attributes:
        pairs: Number of pairs of views. Each epoch has all of them, each view turned anew; `run.cache` is the memory
            that they are kept in.
        nms: Radius of non-maximum suppression, in multiples of the spacing of nodes, stated in the exported file.
        max_sigma: Maximum uncertainty of a keypoint, in multiples of the spacing, stated in the exported file; None for
            no limit.
        data: Clouds.
        views: The views of a cloud that a pair is made of.
        input: The input of the network.
        network: The network.
        loss: The loss.
    """

    method: Literal["usip"] = "usip"
    pairs: Count = 800
    nms: Annotated[float, Field(ge=0)] = 0.7
    max_sigma: Positive | None = None
    data: Data = Data()
    views: Views = Views()
    input: Input = Input()
    network: NetworkSettings = NetworkSettings()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    run: Run = Run()

    @property
    def files(self) -> tuple[Path, ...]:
        """The clouds to train on."""
        return tuple(source.path for source in self.data.train)

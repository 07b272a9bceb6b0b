"""The decoding of a crop as a part of an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping

from cairn.inference.model_spec import ModelSpec
from cairn.inference.settings import with_defaults
from cairn.methods.hourglass.decoder import decode
from cairn.training.exporting.decoding.decoder import (
    GraphDecoder,
    Output,
    ToPixels,
    crop_outputs,
    one_pose,
    random_maps,
)
from cairn.training.exporting.decoding.graph import Value


def _add(maps: Mapping[str, Value], spec: ModelSpec, to_pixels: ToPixels) -> dict[str, Output]:
    return crop_outputs(maps, spec, with_defaults(decode, spec.decode)["refinement"], to_pixels)


DECODER = GraphDecoder(_add, lambda _: {}, one_pose, random_maps)

"""A torch module behind the Network protocol, so that validation runs the predictor of inference."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import Maps


class TorchNetwork:
    """Runs a torch module in float32, as the exported file computes, also inside mixed precision.

    Attributes:
        module: (B, 3, h, w) float32 RGB from 0 to 255 -> a tuple in the order of `spec.outputs`.
        spec: The specification of the model.
        threads: Number of CPU cores for one image; 0: torch decides.
    """

    threads = 0

    def __init__(self, module: nn.Module, spec: ModelSpec) -> None:
        self.module = module
        self.spec = spec

    @property
    def device(self) -> str:
        """The device of the module's weights, such as "cpu" or "cuda:0"."""
        return str(next(self.module.parameters()).device)

    @torch.inference_mode()
    def __call__(self, images: NDArray[np.float32]) -> Maps:
        """Returns the outputs by name for images (B, 3, h, w) in float32."""
        device = next(self.module.parameters()).device
        was_training = self.module.training
        self.module.eval()
        try:
            with torch.autocast(device.type, enabled=False):
                outputs = self.module(torch.from_numpy(images).to(device))
        finally:
            self.module.train(was_training)
        return {name: maps.float().cpu().numpy() for name, maps in zip(self.spec.outputs, outputs, strict=True)}

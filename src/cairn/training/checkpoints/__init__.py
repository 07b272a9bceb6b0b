"""Files of weights: published checkpoints, and pretrained weights for fine-tuning."""

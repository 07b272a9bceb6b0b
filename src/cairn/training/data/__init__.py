"""Training data: sources of labels, samples, augmentation, batches."""

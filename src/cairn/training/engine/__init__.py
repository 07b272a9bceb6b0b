"""The training loop and everything around it: trainer, callbacks, processes, memory, results."""

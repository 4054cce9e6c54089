"""Running a model block by block: batches, hooks, activations, and replay of its upper part."""

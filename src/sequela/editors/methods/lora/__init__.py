"""LoRA: low-rank adapters trained on the edits."""

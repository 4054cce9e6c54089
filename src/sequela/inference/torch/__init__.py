"""The engine that runs requests with PyTorch on the Hugging Face model, and the reference engine."""

"""What is measured: edit quality, abilities, safety, health."""

from sequela.evaluation.suite import Suite

__all__ = ["Suite"]

"""What an edit did to the weights: a small object that applies, reverts and saves."""

from sequela.deltas.delta import Delta
from sequela.deltas.updates import Dense, LowRank, WeightUpdate

__all__ = ["Delta", "Dense", "LowRank", "WeightUpdate"]

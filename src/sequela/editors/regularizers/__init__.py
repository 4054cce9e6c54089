"""Regularizers, which limit any method's change of weights."""

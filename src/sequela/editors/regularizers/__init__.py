"""Regularizers: what keeps any method's change of the weights small."""

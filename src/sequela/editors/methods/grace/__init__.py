"""GRACE: a codebook of keys and values at one layer."""

"""GRACE: a codebook of keys and values beside one layer."""

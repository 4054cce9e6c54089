"""PMET: MEMIT with targets optimized for attention and MLP together."""

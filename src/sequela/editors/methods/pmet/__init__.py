"""PMET: MEMIT with targets that are optimized jointly for attention and MLP."""

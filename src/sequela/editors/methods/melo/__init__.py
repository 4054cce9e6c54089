"""MELO: low-rank blocks, chosen by the nearest key."""

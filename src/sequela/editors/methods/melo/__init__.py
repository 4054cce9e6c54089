"""MELO: low-rank blocks, selected by the nearest key."""

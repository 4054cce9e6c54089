"""MEMIT: many facts at once, written into several MLP layers."""

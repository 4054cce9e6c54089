"""EMMET: equality-constrained batches in one MLP layer."""

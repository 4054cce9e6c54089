"""ROME: a rank-one change of one MLP layer, one fact at a time."""

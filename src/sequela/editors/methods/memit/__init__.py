"""MEMIT: many facts at once, spread over several MLP layers."""

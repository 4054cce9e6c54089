"""Replacements of a model's attention while the torch engine runs it."""

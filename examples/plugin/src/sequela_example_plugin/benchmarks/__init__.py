"""A benchmark: a task file and its items."""

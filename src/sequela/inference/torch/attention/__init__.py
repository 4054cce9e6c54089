"""What replaces a model's attention while the torch engine runs it."""

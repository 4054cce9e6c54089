"""What every other package builds on: errors, files, hashing, paths, precision, progress."""

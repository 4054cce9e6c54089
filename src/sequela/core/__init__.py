"""The foundation of all other packages: errors, files, hashing, paths, precision, progress."""

"""What every floor of the house stands on: errors, hashing, folders, progress."""

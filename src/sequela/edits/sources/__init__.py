"""Where edits come from: one file a source."""

"""Editors that learn to turn gradients into edits: what MEND and its kin have in common."""

"""IKE: edits as demonstrations in the prompt."""

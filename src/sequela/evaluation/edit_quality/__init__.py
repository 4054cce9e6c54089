"""Edit quality: the prompts for each edit, and the scoring of the answers."""

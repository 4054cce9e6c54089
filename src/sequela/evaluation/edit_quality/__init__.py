"""Edit quality: what each edit is asked, and how the answers are judged."""

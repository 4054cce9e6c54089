"""Reading of what a text says: thinking, markup, letters, numbers and names."""

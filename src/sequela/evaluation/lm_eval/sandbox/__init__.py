"""The sandbox in which the templates of task files are rendered."""

"""The built-in edit sources, one module per data set."""

"""MEND: a trained hypernetwork maps the gradient of an edit to a weight change."""

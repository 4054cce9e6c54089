"""MALMEN: a trained hypernetwork whose value differences are aggregated by least squares."""

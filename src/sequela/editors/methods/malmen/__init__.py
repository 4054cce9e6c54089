"""MALMEN: a trained hypernetwork whose changes are aggregated by least squares."""

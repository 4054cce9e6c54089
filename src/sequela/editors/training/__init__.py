"""Training of methods that must be trained before they can edit: the loop, its examples and the artifact."""

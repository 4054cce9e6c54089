"""Training of methods that have to be trained before they can edit: the loop, its examples, what is kept."""

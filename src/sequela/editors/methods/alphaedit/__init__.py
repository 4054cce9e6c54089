"""AlphaEdit: changes projected into the null space of preserved keys."""

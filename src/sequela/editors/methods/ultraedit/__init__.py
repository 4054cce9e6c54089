"""UltraEdit: one linear solve from keys and gradients, without target optimization."""

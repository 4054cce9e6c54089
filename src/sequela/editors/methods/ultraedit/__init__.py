"""UltraEdit: one linear solve from keys and gradients, without optimizing targets."""

"""Fine-tuning: gradient steps on one MLP projection (ft-l, ft-m)."""

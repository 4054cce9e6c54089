"""What the speed benchmarks have in common."""

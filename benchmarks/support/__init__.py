"""Code shared by the speed benchmarks."""

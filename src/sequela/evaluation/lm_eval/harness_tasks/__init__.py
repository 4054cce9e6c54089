"""Tasks of the installed lm-evaluation-harness, run unchanged, with the harness's own metrics."""

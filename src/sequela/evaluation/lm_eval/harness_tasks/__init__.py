"""Any task of the installed lm-evaluation-harness as it stands, with the harness's own metrics."""

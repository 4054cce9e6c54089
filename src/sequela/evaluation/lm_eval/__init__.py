"""Abilities and safety: tasks as lm-evaluation-harness defines them, run on Sequela's engines.

lm-evaluation-harness provides prompts, few-shot examples, filters and metrics. Sequela's engine
computes the log-probabilities and texts, and its scoring rejects invalid answers (`aggregate.py`).
Importing this package does not import the harness; importing `suite.py` does.
"""

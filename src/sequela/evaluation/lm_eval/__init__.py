"""Abilities and safety: tasks as lm-evaluation-harness defines them, run on our engines.

lm-evaluation-harness gives prompts, worked examples, filters and metrics; our engine gives the
numbers, and our scoring refuses answers that are no answers (`aggregate.py`). Importing this
package does not import the harness; `suite.py` does.
"""

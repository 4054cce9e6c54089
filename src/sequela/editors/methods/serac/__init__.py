"""SERAC: a scope classifier and a counterfactual model in front of the base model."""

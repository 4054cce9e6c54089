"""The four steps that all locate-then-edit methods share: contexts, keys, target values, a solve."""

"""Running a model block by block: batches, hooks, hidden states, replays of its upper part."""

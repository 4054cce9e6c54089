"""The ranges of numbers that users give, wherever they give them."""

from __future__ import annotations

MIN_SEED, MAX_SEED = -(2**63), 2**63 - 1
"""The seeds that PyTorch and the results database take."""

MAX_COUNT = 2**31 - 1
"""The greatest number of items, edits or steps; more than any data set has."""

MAX_SETTING = 1_000_000
"""The greatest whole number in the settings of a method or a training, such as its steps; no publication has
more, and a longer loop would seem to have no end."""

MAX_TOKENS = 10**9
"""The greatest number of tokens of a corpus for key statistics."""

MAX_LENGTH = 2**20
"""The greatest length of a text in tokens; no model has a longer context."""

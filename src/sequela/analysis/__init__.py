"""Verdicts on stored results: which scores are invalid, which models collapsed, which edits are gone."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

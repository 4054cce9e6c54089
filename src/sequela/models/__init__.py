"""The base model: loading it, locating its parts, and the tokens of the subject."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Editing methods, their shared building blocks, and editing in batches.

A package that provides a method or a regularizer needs only the names exported here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

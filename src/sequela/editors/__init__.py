"""How to change a fact: the methods, what they share, and editing in batches.

A package that brings a method or a regularizer of its own needs nothing but what is exported here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

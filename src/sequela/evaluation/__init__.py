"""What is measured: edit quality, abilities, safety, health.

A package that brings a suite or a probe metric of its own needs nothing but what is exported here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

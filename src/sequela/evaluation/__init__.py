"""Measurements: edit quality, abilities, safety and health.

A package that provides a suite or a probe metric needs only the names exported here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Objects that studies share, addressed by what they were computed from.

`open_store()` opens the store that `SEQUELA_STORE` names. An object is a folder of files with a description
that is written last, so that an object is there completely or not at all; every read is verified.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

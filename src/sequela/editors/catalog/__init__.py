"""What is known of the methods and restraints that come with the program, without importing PyTorch.

Each method has a module here with its settings and a record of what it is and can do; what edits is in the
module that the record names. So a list is printed, and a study file is checked, in a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sequela.editors.catalog.alphaedit import ALPHAEDIT
from sequela.editors.catalog.emmet import EMMET
from sequela.editors.catalog.fine_tuning import FT_L, FT_M
from sequela.editors.catalog.grace import GRACE
from sequela.editors.catalog.ike import IKE
from sequela.editors.catalog.kn import KN
from sequela.editors.catalog.lora import LORA
from sequela.editors.catalog.malmen import MALMEN
from sequela.editors.catalog.melo import MELO
from sequela.editors.catalog.memit import MEMIT
from sequela.editors.catalog.mend import MEND
from sequela.editors.catalog.method import JOIN, MethodInfo, RestraintInfo, RestraintSettings
from sequela.editors.catalog.pmet import PMET
from sequela.editors.catalog.restraints import NAS, NORM, PRUNE, RECT
from sequela.editors.catalog.rome import ROME
from sequela.editors.catalog.serac import SERAC
from sequela.editors.catalog.ultraedit import ULTRAEDIT
from sequela.editors.catalog.wise import WISE

METHODS: Mapping[str, MethodInfo] = MappingProxyType(
    {
        info.name: info
        for info in (
            *(ALPHAEDIT, EMMET, FT_L, FT_M, GRACE, IKE, KN, LORA, MALMEN, MELO, MEMIT, MEND, PMET, ROME),
            *(SERAC, ULTRAEDIT, WISE),
        )
    }
)
"""The methods by name."""

RESTRAINTS: Mapping[str, RestraintInfo] = MappingProxyType(
    {info.name: info for info in (NAS, NORM, PRUNE, RECT)}
)
"""The restraints by name."""

__all__ = ["JOIN", "METHODS", "RESTRAINTS", "MethodInfo", "RestraintInfo", "RestraintSettings"]

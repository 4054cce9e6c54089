"""The catalog of built-in methods and regularizers, which does not import PyTorch.

Each method has a settings module with its settings and a record of its capabilities; the editor class is in
the module that the record names. So listing methods and checking a study file take a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sequela.editors.catalog_entry import JOIN, MethodInfo, RegularizerInfo, RegularizerSettings
from sequela.editors.methods.alphaedit.settings import ALPHAEDIT
from sequela.editors.methods.emmet.settings import EMMET
from sequela.editors.methods.fine_tuning.settings import FT_L, FT_M
from sequela.editors.methods.grace.settings import GRACE
from sequela.editors.methods.ike.settings import IKE
from sequela.editors.methods.kn.settings import KN
from sequela.editors.methods.lora.settings import LORA
from sequela.editors.methods.malmen.settings import MALMEN
from sequela.editors.methods.melo.settings import MELO
from sequela.editors.methods.memit.settings import MEMIT, MEMIT_HISTORY
from sequela.editors.methods.mend.settings import MEND
from sequela.editors.methods.pmet.settings import PMET
from sequela.editors.methods.rome.settings import ROME
from sequela.editors.methods.serac.settings import SERAC
from sequela.editors.methods.ultraedit.settings import ULTRAEDIT
from sequela.editors.methods.wise.settings import WISE
from sequela.editors.regularizers.settings import NAS, NORM, PRUNE, RECT

METHODS: Mapping[str, MethodInfo] = MappingProxyType(
    {
        info.name: info
        for info in (
            *(ALPHAEDIT, EMMET, FT_L, FT_M, GRACE, IKE, KN, LORA, MALMEN, MELO, MEMIT, MEND, PMET, ROME),
            *(MEMIT_HISTORY, SERAC, ULTRAEDIT, WISE),
        )
    }
)
"""The methods by name."""

REGULARIZERS: Mapping[str, RegularizerInfo] = MappingProxyType(
    {info.name: info for info in (NAS, NORM, PRUNE, RECT)}
)
"""The regularizers by name."""

__all__ = ["JOIN", "METHODS", "REGULARIZERS", "MethodInfo", "RegularizerInfo", "RegularizerSettings"]

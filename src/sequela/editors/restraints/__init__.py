"""What holds an editing method back."""

from sequela.editors.restraints.nas import NormAnchoredScaling
from sequela.editors.restraints.norm import NormConstraint
from sequela.editors.restraints.prune import Prune
from sequela.editors.restraints.rect import Rect
from sequela.editors.restraints.restraint import JOIN, AnyRestraint, RestrainedEditor, Restraint

RESTRAINTS: dict[str, type[AnyRestraint]] = {
    cls.name: cls for cls in (NormAnchoredScaling, NormConstraint, Prune, Rect)
}
"""The restraints by name."""

__all__ = ["JOIN", "RESTRAINTS", "AnyRestraint", "RestrainedEditor", "Restraint"]

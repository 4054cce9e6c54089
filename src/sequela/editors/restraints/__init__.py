"""What holds an editing method back."""

from sequela.editors.restraints.restraint import AnyRestraint, RestrainedEditor, Restraint

__all__ = ["AnyRestraint", "RestrainedEditor", "Restraint"]

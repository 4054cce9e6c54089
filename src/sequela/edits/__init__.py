"""What to change: edits, and the sources they come from."""

from sequela.edits.edit import Edit, Probe
from sequela.edits.edit_set import EditSet

__all__ = ["Edit", "EditSet", "Probe"]

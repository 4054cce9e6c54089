"""Where measurements are kept and asked for."""

from sequela.results.finding import Finding, finding_from_items, mean_and_stderr
from sequela.results.measurement import ItemRecord, Measurement

__all__ = ["Finding", "ItemRecord", "Measurement", "finding_from_items", "mean_and_stderr"]

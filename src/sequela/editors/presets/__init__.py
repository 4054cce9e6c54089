"""Presets: settings of a method for a model, with their provenance."""

from sequela.editors.presets.presets import Preset, find_preset, list_presets, with_preset, write_preset

__all__ = ["Preset", "find_preset", "list_presets", "with_preset", "write_preset"]

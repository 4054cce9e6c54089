"""Settings for a method on a model, each with where they come from."""

from sequela.editors.presets.presets import Preset, find_preset, list_presets, with_preset, write_preset

__all__ = ["Preset", "find_preset", "list_presets", "with_preset", "write_preset"]

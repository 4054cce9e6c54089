"""Causal tracing: the locations where a model stores a fact."""

from sequela.tracing.causal_trace import CausalTrace, TraceSettings, causal_trace
from sequela.tracing.profile import PLACES, Profile, profile_of

__all__ = ["PLACES", "CausalTrace", "Profile", "TraceSettings", "causal_trace", "profile_of"]

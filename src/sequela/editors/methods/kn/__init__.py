"""KN: knowledge neurons, located by integrated gradients."""

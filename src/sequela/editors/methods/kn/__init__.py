"""KN: knowledge neurons, found by integrated gradients."""

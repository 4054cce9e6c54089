"""What is measured: edit quality, abilities, safety, health."""

"""An example plug-in for Sequela with one entry of each kind that a package can provide."""

"""An example of a plug-in for Sequela: one of each kind that a package can bring."""

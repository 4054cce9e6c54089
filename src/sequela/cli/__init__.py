"""The commands of the program: thin layers over the Python packages."""

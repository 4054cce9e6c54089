"""The editing methods, a folder each."""

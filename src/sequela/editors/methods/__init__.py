"""The editing methods, one folder each."""

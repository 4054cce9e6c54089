"""WISE: a side memory beside one layer, with a router between the two."""

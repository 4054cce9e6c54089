"""WISE: side memories of one layer, with a router that selects among them."""

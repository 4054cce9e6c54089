"""Building blocks shared by methods: locate-then-edit steps, losses, gradients, clusters, hypernetworks."""

"""What methods share: the locate-then-edit steps, losses, gradients, key clusters, hypernetworks."""

"""What methods that watch activations keep beside the model: keys, values, blocks, copies of a layer."""

"""The PyTorch mirror: the same nets and recipes, with its own layers, training loop and weight port."""

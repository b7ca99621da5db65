"""The PyTorch mirror: the same nets from the same recipes, with its own layers, loop and weight port."""

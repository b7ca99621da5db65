"""The nets: preprocessing, augmentation, architecture, training. The only rooms that import keras."""

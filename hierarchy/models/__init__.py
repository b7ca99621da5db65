"""The nets: preprocessing, augmentation, layers, training, export. The only package that imports Keras."""

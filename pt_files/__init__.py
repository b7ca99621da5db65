"""The PyTorch mirror: the same nets and recipes, with its own layers, training loop and weight port."""

from hierarchy.data.cache import keep_home_clean

keep_home_clean()  # before torch is imported

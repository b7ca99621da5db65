"""What the nets' tests share: keras on its default backend."""

from hierarchy.models import keras_setup

keras_setup.start()

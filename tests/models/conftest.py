"""Start keras on its default backend before the tests of models."""

from hierarchy.models import keras_setup

keras_setup.start()

"""What the fitting's tests share: keras on its default backend, whose nets they fit and open."""

from hierarchy.models import keras_setup

keras_setup.start()

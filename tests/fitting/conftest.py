"""What the fitting's tests share: keras on its default backend, whose nets they fit and open."""

from hierarchy.nets import backend

backend.start()

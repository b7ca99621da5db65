"""What the nets' tests share: keras on its default backend."""

from hierarchy.nets import backend

backend.start()

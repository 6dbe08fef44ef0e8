"""What targets share: their settings, the way of an image into a registry and back out of it."""

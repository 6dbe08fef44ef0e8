"""A model at a Kubernetes cluster: its objects as values, and how one release follows another."""

"""What `builds.py` compares: mlpack, a Dockerfile as people write it, and BentoML."""

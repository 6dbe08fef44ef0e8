"""Running the project's own code, and learning from what it gives."""

"""Tracing: the user's function is called with stand-ins, and what it does becomes nodes."""

"""Rolling out: new containers beside the old ones, then the traffic, then the old ones stop."""

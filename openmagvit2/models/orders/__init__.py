"""The order slot: which tokens follow which, and which are predicted together."""

"""The model's bytes become a graph and a head with exact numbers."""

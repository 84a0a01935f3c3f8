"""Queries of other people's languages about a network, and what is proved about them."""

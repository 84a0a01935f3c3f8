"""Data sets and pictures."""

"""The head of a network: names, recognition, similarities."""

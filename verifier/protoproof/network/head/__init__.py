"""The head of a network: description, recognition, similarities."""

"""Sets of inputs, and what the encoder makes of them."""

"""What the encoder makes of a region of inputs: needed for regions only."""

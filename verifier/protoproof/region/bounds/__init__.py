"""What the encoder can output over a set of inputs: intervals, linear bounds, attacks."""

"""Room *bounds*: sets of inputs, and what the encoder can output over them."""

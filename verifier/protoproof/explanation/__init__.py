"""The order of stages for one prediction: observe, search, write down, check."""

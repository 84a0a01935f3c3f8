"""From a graph to its head: what every element of a tensor is, as exact numbers and indices."""

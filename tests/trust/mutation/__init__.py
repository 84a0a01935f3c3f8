"""Changes of the checker's code, one at a time, each of which some test has to notice."""

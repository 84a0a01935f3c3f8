"""The verbs of the command line that use the verifier, one file per group of verbs."""

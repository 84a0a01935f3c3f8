"""The trust list at size: forgeries, costly files, fuzzing, mutants, samples, a second checker."""

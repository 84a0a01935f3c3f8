"""Minimisers: from facts to few facts. One algorithm per file."""

"""Minimisers: from facts to few facts. One algorithm per file.

(The room is not called `explain`: `verifier.explain` is the function.)
"""

"""Minimisers: from facts to few facts. One algorithm per file.

(The room is not called `explain`: `protoproof.explain` is the function.)
"""

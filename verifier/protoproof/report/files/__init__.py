"""Which files an answer leaves behind, and under which names."""

"""The page about one explanation or one region, and the words in it."""

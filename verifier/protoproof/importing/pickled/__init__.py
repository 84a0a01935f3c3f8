"""What a learning library saved, read as data: no name in a pickle is ever imported or called."""

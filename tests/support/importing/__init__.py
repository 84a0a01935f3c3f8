"""Networks in the layouts of public projects, written from their formulas, and saved as they do."""

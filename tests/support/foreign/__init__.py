"""The field's heads, written again from their formulas, and what exporters make of them."""

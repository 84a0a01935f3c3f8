"""Which inputs: balls, boxes, transformations, occlusions, property files."""

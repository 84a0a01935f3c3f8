"""Sets of latents, and what facts say about them."""

"""What the prover found, written down as a certificate."""

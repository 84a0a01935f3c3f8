"""Latents that meet facts and are predicted otherwise: witnesses, refutations."""

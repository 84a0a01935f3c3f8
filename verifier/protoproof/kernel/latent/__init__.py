"""What facts and multipliers prove about latents; the core of every explanation."""

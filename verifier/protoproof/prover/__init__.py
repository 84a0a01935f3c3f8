"""The untrusted search for facts and proofs. Whatever it finds, the kernel proves again."""

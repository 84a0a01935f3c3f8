"""What is signed about a network, and bills of materials: statements that travel without proofs.

:mod:`attest` proves every certificate again, and signs what was proved; :mod:`verify` reads what
was signed, offline and without proving anything; :mod:`bom` lists what a network or this tool is
made of.
"""

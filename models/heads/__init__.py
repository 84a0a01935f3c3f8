"""Kinds of prototype heads, one file each: plain torch modules, as their papers define them.

A head is a module from the latent of an encoder to what the exported network returns. Nothing in it
is made for the verifier: names, extra outputs and a description are not needed.
"""

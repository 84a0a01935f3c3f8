"""Labelled images: built-in, .npz files, folders of pictures."""

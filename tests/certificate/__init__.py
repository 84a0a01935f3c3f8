"""Tests of the proof format."""

"""Tests of the trusted part."""

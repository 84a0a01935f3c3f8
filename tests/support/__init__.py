"""Builders that several rooms of tests share."""

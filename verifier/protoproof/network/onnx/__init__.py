"""Bytes to a screened graph: reader, operator table, runtime."""

"""Transforms: pure functions on distinct values, one module for each stage's work."""

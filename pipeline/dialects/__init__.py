"""Dialects: what a pixel URL's query string says, one module for each system's URLs."""

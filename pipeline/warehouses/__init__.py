"""Warehouses: where rows go, each behind the same small protocol."""

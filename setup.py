"""Installs Pixelship; all but the place of `schemas/` is in pyproject.toml."""

from setuptools import setup

setup(package_dir={"pipeline.schemas": "schemas"})

"""What `make check` runs over `terraform/`: format, descriptions, Terraform's own validation, checkov.

Terraform validates against the Google provider's schema, which here comes from PyPI (`schema.py`) and is
served by a stand-in for the provider (`provider.py`): no registry, no account, no network.
"""

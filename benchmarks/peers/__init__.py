"""Other engines doing the same work on the same logs."""

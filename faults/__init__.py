"""The matrix of faults: whatever happens on the way, each view counts once. `python -m faults`."""

"""Beam's runners beyond one process, real ones, on loopback: what `make test-flink` runs the job on."""

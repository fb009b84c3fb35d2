"""The real parts of the cloud path, on loopback: an object store, BigQuery's rules, and faults.

`README.md` beside this file says what is real, what is ours, and what differs from the cloud.
"""

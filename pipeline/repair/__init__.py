"""What pixel URLs suffer between author and log: found out, named, and undone where that can be.

`ladder` tries repairs with the signature as the judge; `tags` and `cuts` find out about the URLs
that no repair helps.
"""

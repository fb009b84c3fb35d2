"""BigQuery's documented rules, put in front of bqemulator, which runs the SQL.

These modules run in `.venv-emulators` (`python -m emulators.rules`), never in the project's own
environment. The routes of data sets, tables, jobs and their results are ours; bqemulator translates
GoogleSQL for DuckDB and gives the rows their wire form.
"""

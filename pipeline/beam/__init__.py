"""The Apache Beam job: thin wrappers around `pipeline.staging`, no knowledge of logs."""

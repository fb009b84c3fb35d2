"""What the pipeline costs, measured beside other engines that do the same work."""

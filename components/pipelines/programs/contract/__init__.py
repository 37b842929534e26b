"""What a project and the pipelines service say to each other: definitions, digests of bundles, records of runs."""

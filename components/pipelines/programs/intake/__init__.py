"""The service that takes pipelines and answers for their runs, whichever engine carries them out."""

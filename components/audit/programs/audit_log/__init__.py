"""The audit log's one writer: an append-only file per day, each record sealed and chained to the one before it."""

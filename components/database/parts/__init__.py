"""Parts of the database's flavors."""

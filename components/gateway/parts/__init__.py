"""Parts of the gateway's flavors."""

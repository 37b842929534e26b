"""What may not be deployed: rules over planned resources, for the Pulumi CLI, the engine, and `terrace check`."""

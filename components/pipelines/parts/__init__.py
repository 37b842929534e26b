"""What flavors of pipelines have in common."""

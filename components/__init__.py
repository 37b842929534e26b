"""What a platform is made of: one folder per slot, one file per flavor."""

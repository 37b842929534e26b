"""Deploys registered models into MLServer: the version that carries an alias in the registry is the one served.

It runs beside MLServer with MLServer's environment (``python -m model_sync``) and as its user. Moving the alias is
a deployment: the version's libraries are installed into an environment of its own, its files are fetched, it is
loaded and has to answer beside the served version, and only then takes its place.
"""

"""Backs up what a host can't make anew, and brings it back. Needs Python's own library, restic, and PostgreSQL's tools.

Called as ``python3 -m backup_agent COMMAND``, with its settings in the environment (see settings.py):

- ``init`` opens the repository, and makes it the first time; what goes wrong it says in plain words,
- ``serve`` backs up once a day and shows metrics,
- ``backup`` backs up now, ``list`` tells which backups there are,
- ``plan`` tells what ``restore`` would bring back; both read a request from standard input and run as root.

What it does and finds it prints as lines of JSON, each with an ``event``: ``progress``, ``result``, or ``error``.
"""

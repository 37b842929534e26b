"""The Kubernetes target: every workload becomes a pod with a container for each process.

Documents are made as the Kubernetes API has them, by functions that declare nothing; ``objects.py`` alone turns them
into Pulumi's typed resources.
"""

from __future__ import annotations

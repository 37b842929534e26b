"""Inputs that a provider's check refuses: nothing is touched."""

from recorder import Thing, stage

Thing("good", value=stage)
Thing("bad", value=1, refuse=stage == 1)

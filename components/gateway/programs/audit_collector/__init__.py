"""Brings what people and programs did through the gateway from nginx's log to the audit log, each request once."""

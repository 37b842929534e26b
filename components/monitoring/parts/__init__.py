"""What the flavors of monitoring, and the portal, are made with: notices of alerts, dashboards, and console pages."""

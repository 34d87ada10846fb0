"""What any long-running process needs: settings, logs, health, metrics rendering. No domain words."""

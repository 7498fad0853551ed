"""What reaches outside the process: channels for notices and alerts, and their stand-ins for a dry-run."""

"""What the bridge runs against where there is no venue and no cluster: a simulator, a real broker, and the demo."""

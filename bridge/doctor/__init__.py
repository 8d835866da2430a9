"""`ltp-bridge doctor`: tries everything that the daemon needs, sends no order, and reports what it finds."""

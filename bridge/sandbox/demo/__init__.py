"""The demo: shows events and commands live, and counts what is lost or duplicated."""

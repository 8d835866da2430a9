"""Both streets shown live, and what is lost or duplicated counted."""

"""The published contract: JSON Schemas, the AsyncAPI document and golden samples. The daemon does not import it."""

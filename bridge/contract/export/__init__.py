"""What is published of the contract: JSON Schemas, the AsyncAPI document and golden samples. The daemon needs none."""

"""What bodies must look like: JSON Schema, one file per noun."""

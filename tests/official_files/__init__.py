"""Small files in the published formats and layouts, one module per task: `write(root)`."""

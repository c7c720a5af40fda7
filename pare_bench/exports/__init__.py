"""Records in the formats of others: tables, the Hugging Face Hub, Every Eval Ever."""

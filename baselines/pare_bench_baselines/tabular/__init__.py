"""Specialists for tables: trees, boosting, a linear model, and two systems that need no tuning of ours."""

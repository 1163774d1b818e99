"""Regularisers: one module a family, ``regularizer.py`` for those of one run."""

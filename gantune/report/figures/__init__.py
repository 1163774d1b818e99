"""Figures of a search, plotly's own: what the page and ``Run`` show."""

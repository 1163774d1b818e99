"""The page of a search: one file that needs no other and no network."""

from gantune.report.page.page import make_page, write_page

__all__ = ["make_page", "write_page"]

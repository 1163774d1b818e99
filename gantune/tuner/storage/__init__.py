"""Where the study is kept: a journal file or a database."""

"""What the topics hold: their names, keys, headers and values. Everything a consumer may rely on stands here."""

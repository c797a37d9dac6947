"""What the documentation site has beside its pages: links, pictures and a reference."""

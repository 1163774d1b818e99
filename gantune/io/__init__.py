"""What every room uses and knows nothing of GANs: files, formatting, imports, YAML."""

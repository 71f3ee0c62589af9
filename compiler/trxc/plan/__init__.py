"""Plans: where values live on a mesh."""

"""What the commands share: options, files, output, and what is said when something goes wrong."""

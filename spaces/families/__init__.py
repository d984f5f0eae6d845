"""What the generic cut cannot know, one family a file."""

"""Prepares new studies: detects the data, drafts a study file, suggests candidates."""

"""A study before it exists: data looked at, a study file drafted, candidates suggested."""

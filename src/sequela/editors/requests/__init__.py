"""What methods that stand in front of requests keep and look up: facts, demonstrations, scopes of edits."""

"""Conversations and messages: their rules, their lists, and new messages after a cursor."""

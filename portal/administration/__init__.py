"""Pages on which administrators read the audit record and see whether every part of Berth works."""

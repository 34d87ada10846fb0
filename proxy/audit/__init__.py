"""What is written down of each request: the audit record, the access log line, their files."""

//! MCP server for CloudWatch alarms and metric windows against a baseline.

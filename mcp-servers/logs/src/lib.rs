//! MCP server for CloudWatch Logs: patterns, onset, baselines, bounded Logs Insights.

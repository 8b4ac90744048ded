//! MCP server that plans changes, and makes them only on a signed permit.

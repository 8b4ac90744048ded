//! What every Midwatch MCP server shares: serving, authentication, AWS clients, errors.

//! MCP server for CodeDeploy and ECS deployments, their correlation with an onset, and service health.

//! The agent loop, specialists, evidence, budgets and models of Midwatch.

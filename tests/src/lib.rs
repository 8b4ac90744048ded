//! The real daemon, servers and foreign parts together.

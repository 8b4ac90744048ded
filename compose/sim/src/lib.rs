//! A world that plays incident scenarios behind the wire protocols of AWS.

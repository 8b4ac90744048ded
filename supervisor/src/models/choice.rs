//! Which models reason, in a word.

use clap::ValueEnum;

/// Which model reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModelChoice {
    /// Rules, for no tokens.
    Playbook,
    /// Amazon Bedrock.
    Bedrock,
    /// An endpoint that speaks OpenAI's chat completions (MIDWATCH_OPENAI_*).
    #[value(name = "openai")]
    OpenAi,
}

//! A specialist: a prompt, the tools it may be shown, its limits and what it puts out.
//! One file each in `prompts/`: TOML front matter between `+++` lines, then the prompt.

use serde::Deserialize;

/// Who looks at executions, where the service has a state machine.
pub const WORKFLOW_ANALYST: &str = "workflow_analyst";
/// Who looks at metrics, where a third-party server was lent for it.
pub const METRICS_ANALYST: &str = "metrics_analyst";

/// What is wrong with a prompt file.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// No front matter between `+++` lines.
    #[error("prompt `{name}` has no front matter: begin it with `+++` and end that with `+++`")]
    NoFrontMatter {
        /// Which prompt.
        name: String,
    },
    /// Not TOML, or unknown or missing fields. The source names line and column.
    #[error("front matter of prompt `{name}` is not readable")]
    Toml {
        /// Which prompt.
        name: String,
        /// Where.
        #[source]
        source: toml::de::Error,
    },
    /// A limit that makes no sense.
    #[error("prompt `{name}`: {problem}")]
    Invalid {
        /// Which prompt.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

/// Which class of model a specialist runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelTier {
    /// Cheap and quick: routing.
    Small,
    /// Able: investigating.
    Large,
}

/// What a specialist puts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// A [`Finding`](crate::finding::Finding) through `conclude`.
    Finding,
    /// A [`RouteDecision`](crate::route::RouteDecision) through `route`.
    Route,
    /// A [`Proposal`](crate::run::Proposal) through `conclude`.
    Proposal,
}

/// A specialist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Specialist {
    /// Its name.
    pub name: String,
    /// Which class of model.
    pub tier: ModelTier,
    /// The tools it may be shown.
    pub tools: Vec<String>,
    /// Most model calls.
    pub max_turns: u32,
    /// Most tool calls.
    pub max_tool_calls: u32,
    /// Most tokens over all calls, as reserved.
    pub token_budget: u64,
    /// Most tokens of one answer.
    pub max_output_tokens: u32,
    /// What it puts out.
    pub output: Output,
    /// The system prompt.
    pub prompt: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrontMatter {
    name: String,
    tier: ModelTier,
    tools: Vec<String>,
    max_turns: u32,
    max_tool_calls: u32,
    token_budget: u64,
    max_output_tokens: u32,
    output: Output,
}

impl Specialist {
    /// The router.
    pub fn router() -> Result<Self, PromptError> {
        Self::parse("router", include_str!("../prompts/router.md"))
    }

    /// The log analyst.
    pub fn log_analyst() -> Result<Self, PromptError> {
        Self::parse("log_analyst", include_str!("../prompts/log_analyst.md"))
    }

    /// The deploy correlator.
    pub fn deploy_correlator() -> Result<Self, PromptError> {
        Self::parse("deploy_correlator", include_str!("../prompts/deploy_correlator.md"))
    }

    /// The metrics analyst.
    pub fn metrics_analyst() -> Result<Self, PromptError> {
        Self::parse(METRICS_ANALYST, include_str!("../prompts/metrics_analyst.md"))
    }

    /// The workflow analyst.
    pub fn workflow_analyst() -> Result<Self, PromptError> {
        Self::parse(WORKFLOW_ANALYST, include_str!("../prompts/workflow_analyst.md"))
    }

    /// The remediator.
    pub fn remediator() -> Result<Self, PromptError> {
        Self::parse("remediator", include_str!("../prompts/remediator.md"))
    }

    /// Reads a prompt file. `name` is what the file has to call itself.
    pub fn parse(name: &str, text: &str) -> Result<Self, PromptError> {
        let (head, body) = split(text).ok_or_else(|| PromptError::NoFrontMatter { name: name.to_owned() })?;
        let head: FrontMatter =
            toml::from_str(head).map_err(|source| PromptError::Toml { name: name.to_owned(), source })?;
        let invalid = |problem: String| Err(PromptError::Invalid { name: name.to_owned(), problem });
        if head.name != name {
            return invalid(format!("it calls itself `{}`", head.name));
        }
        if head.max_turns == 0 || head.max_output_tokens == 0 {
            return invalid("`max_turns` and `max_output_tokens` have to be at least 1".to_owned());
        }
        if body.trim().is_empty() {
            return invalid("the prompt is empty".to_owned());
        }
        Ok(Self {
            name: head.name,
            tier: head.tier,
            tools: head.tools,
            max_turns: head.max_turns,
            max_tool_calls: head.max_tool_calls,
            token_budget: head.token_budget,
            max_output_tokens: head.max_output_tokens,
            output: head.output,
            prompt: body.trim().to_owned(),
        })
    }

    /// This specialist with the prompt and limits of an operator's file. INVARIANT: tools only
    /// ever get fewer; output and name stay.
    pub fn narrowed_by(&self, text: &str) -> Result<Self, PromptError> {
        let mut own = Self::parse(&self.name, text)?;
        if own.output != self.output {
            return Err(PromptError::Invalid {
                name: self.name.clone(),
                problem: "`output` cannot be changed".to_owned(),
            });
        }
        own.tools.retain(|tool| self.tools.contains(tool));
        Ok(own)
    }
}

fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rest = text.strip_prefix("+++\n").or_else(|| text.strip_prefix("+++\r\n"))?;
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "+++" {
            return Some((rest.get(..at)?, rest.get(at + line.len()..)?));
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_prompt_parses_and_names_no_mutating_tool() {
        let all = [
            Specialist::router().unwrap(),
            Specialist::log_analyst().unwrap(),
            Specialist::deploy_correlator().unwrap(),
            Specialist::metrics_analyst().unwrap(),
            Specialist::workflow_analyst().unwrap(),
            Specialist::remediator().unwrap(),
        ];
        for specialist in &all {
            for kind in midwatch_policy::ActionKind::ALL {
                assert!(!specialist.tools.iter().any(|t| t == kind.tool()), "{}", specialist.name);
            }
        }
        assert_eq!(Specialist::remediator().unwrap().tools, ["plan"]);
    }

    #[test]
    fn an_override_can_only_take_tools_away() {
        let base = Specialist::log_analyst().unwrap();
        let text = "+++\nname='log_analyst'\ntier='small'\ntools=['log_query','rollback_deployment']\nmax_turns=2\n\
            max_tool_calls=3\ntoken_budget=1000\nmax_output_tokens=100\noutput='finding'\n+++\nLook.\n";
        let own = base.narrowed_by(text).unwrap();
        assert_eq!(own.tools, ["log_query"]);
        assert_eq!(own.prompt, "Look.");
        assert!(base.narrowed_by(&text.replace("'finding'", "'route'")).is_err());
        assert!(base.narrowed_by("no front matter").is_err());
        assert!(base.narrowed_by(&text.replace("max_turns=2", "max_turns=0")).is_err());
    }
}

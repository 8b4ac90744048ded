//! What policy says of a guest's tool.
//!
//! The operator's file says what a tool is: one that reads, one that changes something, or nothing
//! at all. Policy then decides, as it does of tools of ours. INVARIANT: only `Standing::Read` is
//! ever offered to a model, and nothing else of a guest is ever called.

use midwatch_policy::{
    Attested, Caller, CallerKind, Catalog, Claimed, Decision, Rules, Service, ToolCall, ToolClass,
};
use serde_json::Map;

/// What the operator's file says of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// It only reads.
    Reads,
    /// It changes something.
    Changes,
    /// Nothing.
    Nothing,
}

/// How a tool stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is offered: the operator says that it reads, and policy allows that.
    Read {
        /// The rule that allows it.
        rule: String,
    },
    /// Policy would have people asked. Nothing checks that at the guest, so it is not called.
    Gated {
        /// Who would be asked, by which rules.
        asks: String,
    },
    /// Policy forbids it.
    Forbidden {
        /// The rule.
        rule: String,
        /// Why.
        reason: String,
    },
}

/// A service that nothing holds back: what is forbidden even for it is forbidden.
const LENIENT: &str =
    "[[service]]\nname = \"any\"\ntier = 3\nenvironment = \"development\"\nautonomy = \"ask\"\n";

/// How a tool of a guest stands.
pub fn standing(rules: &Rules, server: &str, tool: &str, named: Named) -> Standing {
    match named {
        // Held against the strictest service there could be: what it is about is not known.
        Named::Reads => match decide(rules, server, tool, ToolClass::Read, None) {
            Decision::Allow { rule } => Standing::Read { rule },
            asks @ Decision::Ask { .. } => Standing::Gated { asks: asks.to_string() },
            Decision::Forbid { rule, reason } => Standing::Forbidden { rule, reason },
        },
        Named::Changes | Named::Nothing => {
            let any = Catalog::parse(LENIENT).ok();
            let any = any.as_ref().and_then(|catalog| catalog.services().next());
            let as_change = decide(rules, server, tool, ToolClass::Mutate, any);
            let decision = match (as_change, named) {
                (asks @ Decision::Ask { .. }, _) => asks,
                (as_change, Named::Changes) => as_change,
                (_, _) => decide(rules, server, tool, ToolClass::Unknown, any),
            };
            match decision {
                Decision::Forbid { rule, reason } => Standing::Forbidden { rule, reason },
                asks @ Decision::Ask { .. } => Standing::Gated { asks: asks.to_string() },
                // Nothing but a read is ever allowed without asking.
                Decision::Allow { rule } => {
                    Standing::Forbidden { rule, reason: "only a read is allowed without asking".to_owned() }
                }
            }
        }
    }
}

fn decide(rules: &Rules, server: &str, tool: &str, class: ToolClass, service: Option<&Service>) -> Decision {
    let claimed = Claimed {
        confidence_percent: 100,
        phase: "investigate".to_owned(),
        severity: "high".to_owned(),
        evidence: vec!["pattern".to_owned()],
    };
    rules.decide(&ToolCall {
        caller: Caller { kind: CallerKind::Supervisor, name: "supervisor" },
        server,
        tool,
        class,
        arguments: &Map::new(),
        service,
        attested: Attested {
            change_freeze: false,
            business_hours: true,
            deployments_in_progress: 0,
            tasks_running: 1,
            tasks_affected: 1,
            actions_last_hour: 0,
        },
        claimed: Some(&claimed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_as_a_read_and_allowed_is_one() {
        let rules = Rules::embedded().unwrap();
        let of = |named| standing(&rules, "tickets", "search", named);
        assert_eq!(of(Named::Reads), Standing::Read { rule: "reads".to_owned() });
        assert!(matches!(of(Named::Nothing), Standing::Forbidden { rule, .. } if rule == "unknown-tool"));
        assert!(matches!(of(Named::Changes), Standing::Forbidden { rule, .. } if rule == "default"));
    }

    #[test]
    fn a_policy_may_forbid_a_read_and_may_name_a_change_which_is_gated_and_no_more() {
        let more = r#"
@id("no-search")
@reason("what people say there is not for models")
@example("search server=tickets class=read")
@counterexample("search server=other class=read")
forbid (principal, action == Action::"read", resource) when { context.server == "tickets" };

@id("comment-asks")
@reason("a comment is seen by customers")
@ask("1 oncall")
@example("comment server=tickets")
@counterexample("comment server=other")
permit (principal, action == Action::"mutate", resource)
when { context.server == "tickets" && context.tool == "comment" };
"#;
        let rules = Rules::embedded_and(more).unwrap();
        let of = |tool: &str, named| standing(&rules, "tickets", tool, named);
        assert!(
            matches!(of("search", Named::Reads), Standing::Forbidden { rule, .. } if rule == "no-search")
        );
        for named in [Named::Changes, Named::Nothing] {
            let Standing::Gated { asks } = of("comment", named) else { panic!("{named:?}") };
            assert!(asks.contains("1 oncall") && asks.contains("comment-asks"), "{asks}");
        }
        assert!(matches!(of("delete", Named::Changes), Standing::Forbidden { .. }));
    }
}

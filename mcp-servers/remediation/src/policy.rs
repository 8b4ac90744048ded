//! Policy, asked once more just before acting, on facts this server has read itself.
//!
//! The desk asked policy when it took the request. A policy that was tightened since voids the
//! permit here, and a permit that fewer people approved than policy now wants is not enough. What the
//! caller claimed is what it said at the desk, as the permit has it: nothing in the call says so.

use midwatch_mcp::{Principal, PrincipalKind};
use midwatch_policy::{
    Action, Approver, Attested, Caller, CallerKind, Claimed, Decision, Rules, Service, ToolCall, ToolClass,
    unmet,
};

/// The server's name in policies.
const SERVER: &str = "remediation";

/// Why policy does not let this happen now, if so.
pub(crate) fn objection(
    rules: &Rules,
    caller: &Principal,
    action: &Action,
    service: &Service,
    attested: Attested,
    (approvers, claimed): (&[Approver], Option<&Claimed>),
) -> Option<String> {
    let arguments = action.arguments();
    let call = ToolCall {
        caller: Caller { kind: kind(caller.kind()), name: caller.name() },
        server: SERVER,
        tool: action.kind().tool(),
        class: ToolClass::Mutate,
        arguments: &arguments,
        service: Some(service),
        attested,
        claimed,
    };
    match rules.decide(&call) {
        Decision::Ask { asks, rules, .. } => {
            let missing: Vec<String> = unmet(&asks, approvers).iter().map(ToString::to_string).collect();
            (!missing.is_empty()).then(|| {
                format!(
                    "policy now asks for more approval: {} (`{}`)",
                    missing.join(", "),
                    rules.join("`, `")
                )
            })
        }
        Decision::Forbid { rule, reason } => Some(format!("policy forbids it now: {reason} (`{rule}`)")),
        // The rules are checked at load so that this cannot be; were it so, it would still be wrong.
        Decision::Allow { rule } => {
            Some(format!("`{rule}` would let a change happen unasked, which no rule may"))
        }
    }
}

/// A desk changes nothing; were it asked about, it would be as any other client.
const fn kind(of: PrincipalKind) -> CallerKind {
    match of {
        PrincipalKind::Supervisor => CallerKind::Supervisor,
        PrincipalKind::AgentClient | PrincipalKind::Desk => CallerKind::AgentClient,
    }
}

#[cfg(test)]
mod tests {
    use midwatch_policy::{Catalog, ServiceName};

    use super::*;

    const CALM: Attested = Attested {
        change_freeze: false,
        business_hours: false,
        deployments_in_progress: 0,
        tasks_running: 4,
        tasks_affected: 4,
        actions_last_hour: 0,
    };

    fn asked(tier: u8, autonomy: &str, people: &[&str], attested: Attested) -> Option<String> {
        let sure = Claimed {
            confidence_percent: 90,
            phase: "decide".to_owned(),
            severity: "alarm".to_owned(),
            evidence: vec!["pattern".to_owned()],
        };
        claiming(tier, autonomy, people, attested, (PrincipalKind::Supervisor, Some(&sure)))
    }

    fn claiming(
        tier: u8,
        autonomy: &str,
        people: &[&str],
        attested: Attested,
        (kind, claimed): (PrincipalKind, Option<&Claimed>),
    ) -> Option<String> {
        let text =
            format!("[[service]]\nname='a'\ntier={tier}\nenvironment='production'\nautonomy='{autonomy}'\n");
        let catalog = Catalog::parse(&text).unwrap();
        let service = catalog.services().next().unwrap();
        let action = Action::RestartService { service: ServiceName::parse("a").unwrap() };
        let approvers: Vec<Approver> = people
            .iter()
            .map(|name| Approver {
                name: (*name).to_owned(),
                role: "oncall".to_owned(),
                channel: "t".to_owned(),
            })
            .collect();
        let caller = Principal::new("caller", kind).unwrap();
        objection(&Rules::embedded().unwrap(), &caller, &action, service, attested, (&approvers, claimed))
    }

    #[test]
    fn what_the_caller_claimed_counts_here_too() {
        use PrincipalKind::{AgentClient, Supervisor};
        let unsure = Claimed {
            confidence_percent: 20,
            phase: "decide".to_owned(),
            severity: "alarm".to_owned(),
            evidence: vec!["pattern".to_owned()],
        };
        let with = |kind, claimed| claiming(1, "ask", &["a"], CALM, (kind, claimed));
        assert!(with(Supervisor, Some(&unsure)).unwrap().contains("low-confidence"));
        assert!(with(Supervisor, None).unwrap().contains("claims-missing"));
        assert_eq!(with(AgentClient, None), None);
    }

    #[test]
    fn the_shipped_rules_are_asked_again() {
        assert_eq!(asked(1, "ask", &["a"], CALM), None);
        assert_eq!(asked(0, "ask", &["a", "b"], CALM), None);
        assert!(asked(0, "ask", &["a"], CALM).unwrap().contains("more approval"));
        assert!(asked(1, "advise", &["a"], CALM).unwrap().contains("forbids"));
        assert!(asked(1, "ask", &["a"], Attested { deployments_in_progress: 1, ..CALM }).is_some());
        assert!(asked(1, "ask", &["a"], Attested { change_freeze: true, ..CALM }).is_some());
        assert!(asked(1, "ask", &["a"], Attested { actions_last_hour: 3, ..CALM }).is_some());
    }
}

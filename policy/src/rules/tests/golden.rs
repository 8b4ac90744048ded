//! What the shipped rules decide over every combination, on one page: combinations that are
//! decided alike are written together, so nothing is left out.

use std::fmt::Write as _;

use super::*;

/// Each row: for every dimension the values it is about, and what is decided.
type Rows = Vec<(Vec<Vec<usize>>, String)>;

/// Every combination of the values from dimension `chosen.len()` on; values with equal rows share.
fn rows(sizes: &[usize], chosen: &mut Vec<usize>, decide: &mut dyn FnMut(&[usize]) -> String) -> Rows {
    let Some(size) = sizes.get(chosen.len()) else { return vec![(Vec::new(), decide(chosen))] };
    let mut groups: Vec<(Vec<usize>, Rows)> = Vec::new();
    for value in 0..*size {
        chosen.push(value);
        let below = rows(sizes, chosen, decide);
        chosen.pop();
        match groups.iter_mut().find(|(_, known)| *known == below) {
            Some((values, _)) => values.push(value),
            None => groups.push((vec![value], below)),
        }
    }
    let with = |(values, below): (Vec<usize>, Rows)| {
        below.into_iter().map(move |(mut rest, text)| {
            rest.insert(0, values.clone());
            (rest, text)
        })
    };
    groups.into_iter().flat_map(with).collect()
}

const TOOLS: [(&str, &str, ToolClass); 7] = [
    ("logs", "error_patterns", ToolClass::Read),
    ("remediation", "plan", ToolClass::Read),
    ("remediation", "rollback_deployment", ToolClass::Mutate),
    ("remediation", "restart_service", ToolClass::Mutate),
    ("remediation", "scale_service", ToolClass::Mutate),
    ("remediation", "delete_service", ToolClass::Mutate),
    ("third-party", "frobnicate", ToolClass::Unknown),
];
const AUTONOMIES: [Autonomy; 3] = [Autonomy::Observe, Autonomy::Advise, Autonomy::Ask];
const ENVIRONMENTS: [Environment; 3] =
    [Environment::Production, Environment::Staging, Environment::Development];
const CALLERS: [CallerKind; 3] = [CallerKind::Supervisor, CallerKind::AgentClient, CallerKind::Person];
const CIRCUMSTANCES: [&str; 9] = [
    "calm",
    "freeze",
    "deploying",
    "3-actions",
    "protected",
    "no-service",
    "unsure",
    "no-evidence",
    "no-claims",
];

fn short(decision: &Decision) -> String {
    match decision {
        Decision::Allow { rule } => format!("allow  {rule}"),
        Decision::Ask { asks, rules, within_s } => {
            let asks: Vec<_> = asks.iter().map(ToString::to_string).collect();
            format!("ask    {} within {within_s} s by {}", asks.join(", "), rules.join(", "))
        }
        Decision::Forbid { rule, .. } => format!("forbid {rule}"),
    }
}

fn write(names: &[(&str, Vec<&str>)], found: &Rows, table: &mut String) {
    let title: Vec<String> = names.iter().map(|(name, _)| format!("{name:<24}")).collect();
    let _ = writeln!(table, "{}decision", title.concat());
    for (cells, text) in found {
        for (values, (_, known)) in cells.iter().zip(names) {
            let cell = match values.as_slice() {
                all if all.len() == known.len() => "any".to_owned(),
                some => some.iter().map(|v| known[*v]).collect::<Vec<_>>().join(","),
            };
            let _ = write!(table, "{cell:<24}");
        }
        let _ = writeln!(table, "{text}");
    }
}

#[test]
fn golden_table() {
    let rules = Rules::embedded().unwrap();
    let arguments = json!({"desired_count": 4, "deployment_id": "d-1"}).as_object().cloned().unwrap();
    let tools: Vec<&str> = TOOLS.iter().map(|(_, tool, _)| *tool).collect();
    let callers: Vec<&str> = CALLERS.iter().map(|kind| kind.as_str()).collect();
    let mut table = String::new();

    let names = [
        ("action", tools.clone()),
        ("autonomy", vec!["observe", "advise", "ask"]),
        ("tier", vec!["0", "1", "2", "3", "4"]),
        ("environment", vec!["production", "staging", "development"]),
        ("caller", callers.clone()),
    ];
    let sizes: Vec<usize> = names.iter().map(|(_, values)| values.len()).collect();
    let (mut combinations, sure) = (0, claimed(90, &["pattern"]));
    let found = rows(&sizes, &mut Vec::new(), &mut |at| {
        combinations += 1;
        let (server, tool, class) = TOOLS[at[0]];
        let tier = u8::try_from(at[2]).unwrap();
        let service = service(tier, ENVIRONMENTS[at[3]], AUTONOMIES[at[1]], false);
        let caller = Caller { kind: CALLERS[at[4]], name: "x" };
        let claimed = Some(&sure);
        let call = call(tool, &arguments, Some(&service));
        short(&rules.decide(&ToolCall { caller, server, class, claimed, ..call }))
    });
    let _ = writeln!(table, "{combinations} combinations, nothing going on");
    write(&names, &found, &mut table);

    let names = [
        ("action", tools),
        ("circumstance", CIRCUMSTANCES.to_vec()),
        ("tier", vec!["0", "1"]),
        ("caller", callers),
    ];
    let sizes: Vec<usize> = names.iter().map(|(_, values)| values.len()).collect();
    let found = rows(&sizes, &mut Vec::new(), &mut |at| {
        let (server, tool, class) = TOOLS[at[0]];
        let circumstance = CIRCUMSTANCES[at[1]];
        let tier = u8::try_from(at[2]).unwrap();
        let service = service(tier, Environment::Production, Autonomy::Ask, circumstance == "protected");
        let attested = Attested {
            change_freeze: circumstance == "freeze",
            deployments_in_progress: u32::from(circumstance == "deploying"),
            actions_last_hour: if circumstance == "3-actions" { 3 } else { 0 },
            ..attested()
        };
        let evidence: &[&str] = if circumstance == "no-evidence" { &[] } else { &["pattern"] };
        let claims = claimed(if circumstance == "unsure" { 49 } else { 90 }, evidence);
        let claimed = (circumstance != "no-claims").then_some(&claims);
        let caller = Caller { kind: CALLERS[at[3]], name: "x" };
        let service = (circumstance != "no-service").then_some(&service);
        let call = call(tool, &arguments, service);
        short(&rules.decide(&ToolCall { caller, server, class, attested, claimed, ..call }))
    });
    let _ = writeln!(table, "\nautonomy ask, in production");
    write(&names, &found, &mut table);
    insta::assert_snapshot!(table);
}

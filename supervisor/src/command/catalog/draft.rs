//! A catalog for review: what was found, and what was guessed, which is marked. Pure.

use std::{collections::BTreeSet, fmt::Write as _};

use midwatch_policy::state_machine_name;

use super::account::{Account, EcsService, Group, SeenAlarm};

/// The beginning of the file.
pub(super) const HEAD: &str = "\
# Written by `midwatch catalog discover`, for review. Nothing of it is in force before you put it to use.
# `# guess` marks what the account does not say. What services call (`depends_on`), their sign of
# life (`traffic`, `errors`) and bounds for scaling (`scale`) stand nowhere in an account: add them.
# `autonomy` begins at observe: Midwatch reads and reports.
";

/// What was written.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) text: String,
    pub(super) services: usize,
}

/// Writes the services of an account; `taken` are names that are in use already.
pub(super) fn draft(account: &Account, role: Option<&str>, taken: &mut BTreeSet<String>) -> Draft {
    let mut text = String::new();
    let (id, region) = (account.id.as_deref().unwrap_or("?"), account.region.as_deref().unwrap_or("?"));
    let _ = writeln!(text, "\n# ---- account {}, {} ----", plain(id), plain(region));
    let mut told = BTreeSet::new();
    for service in &account.services {
        let name = free_name(service, account, taken);
        taken.insert(name.clone());
        let machine = works_by(service, account);
        let alarms = of_service(service, &account.alarms, machine);
        told.extend(alarms.iter().map(|(alarm, _)| alarm.name.as_str()));
        one(&mut text, &name, service, account, role, machine, &alarms);
    }
    let others: Vec<&str> =
        account.alarms.iter().map(|alarm| alarm.name.as_str()).filter(|name| !told.contains(name)).collect();
    if !others.is_empty() {
        text.push_str("\n# Alarms that are about none of these services, as far as can be seen:\n");
        for name in others {
            let _ = writeln!(text, "#   {}", plain(name));
        }
    }
    Draft { text, services: account.services.len() }
}

fn one(
    text: &mut String,
    name: &str,
    service: &EcsService,
    account: &Account,
    role: Option<&str>,
    machine: Option<&str>,
    alarms: &[(&SeenAlarm, Sure)],
) {
    let tag = |names: &[&str]| names.iter().find_map(|name| service.tags.get(*name)).map(String::as_str);
    let _ = writeln!(text, "\n[[service]]\nname = {}", quoted(name));
    let tier = tag(&["tier"]).and_then(|tier| tier.trim_start_matches(['T', 't']).parse::<u8>().ok());
    match tier.filter(|tier| *tier <= 4) {
        Some(tier) => _ = writeln!(text, "tier = {tier}"),
        None => text.push_str("tier = 2 # guess: 0 is the most critical, 4 the least\n"),
    }
    let (environment, sure) = environment(tag(&["environment", "env", "stage"]), &service.cluster);
    let _ = writeln!(text, "environment = \"{environment}\"{}", sure.mark("by the cluster's name"));
    match tag(&["owner", "owners", "team"]) {
        Some(owner) => {
            let owners: Vec<String> = owner.split([',', ';']).map(|one| quoted(one.trim())).collect();
            let _ = writeln!(text, "owners = [{}]", owners.join(", "));
        }
        None => text.push_str("owners = [] # nothing is tagged `owner` or `team`\n"),
    }
    for (key, value) in
        [("account", account.id.as_deref()), ("region", account.region.as_deref()), ("role_arn", role)]
    {
        if let Some(value) = value {
            let _ = writeln!(text, "{key} = {}", quoted(value));
        }
    }
    let _ = writeln!(text, "log_groups = [{}]", list(service.log_groups.iter().map(String::as_str)));
    let _ = writeln!(
        text,
        "ecs = {{ cluster = {}, service = {} }}",
        quoted(&service.cluster),
        quoted(&service.name)
    );
    if let Some((group, sure)) = deployed_by(service, &account.groups) {
        let _ = writeln!(
            text,
            "codedeploy = {{ application = {}, deployment_group = {} }}{}",
            quoted(&group.application),
            quoted(&group.name),
            sure.mark("by its name")
        );
    }
    if let Some(machine) = machine {
        let _ = writeln!(text, "state_machine = {}{}", quoted(machine), Sure::No.mark("by its name"));
    }
    let sure = alarms.iter().filter(|(_, sure)| *sure == Sure::Yes).map(|(alarm, _)| alarm.name.as_str());
    let _ = writeln!(text, "alarms = [{}]", list(sure));
    for (alarm, _) in alarms.iter().filter(|(_, sure)| *sure == Sure::No) {
        let _ = writeln!(text, "# guess, by its name, add it to `alarms`: {}", quoted(&alarm.name));
    }
    text.push_str("autonomy = \"observe\"\n");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sure {
    Yes,
    No,
}

impl Sure {
    fn mark(self, how: &str) -> String {
        if self == Self::Yes { String::new() } else { format!(" # guess, {how}") }
    }
}

/// The state machine that is called as the service is, or has its name within its own. Nothing in an
/// account says which service's work a state machine does.
fn works_by<'a>(service: &EcsService, account: &'a Account) -> Option<&'a str> {
    let all = || account.machines.iter().flatten().map(String::as_str);
    let name = |arn: &str| state_machine_name(arn).unwrap_or_default().to_owned();
    all()
        .find(|arn| name(arn) == service.name)
        .or_else(|| all().find(|arn| contains_word(&name(arn), &service.name)))
}

fn of_service<'a>(
    service: &EcsService,
    alarms: &'a [SeenAlarm],
    machine: Option<&str>,
) -> Vec<(&'a SeenAlarm, Sure)> {
    let is =
        |alarm: &SeenAlarm, name: &str, value: &str| alarm.dimensions.get(name).is_some_and(|v| v == value);
    alarms
        .iter()
        .filter_map(|alarm| {
            let named = is(alarm, "ServiceName", &service.name);
            if named
                && (is(alarm, "ClusterName", &service.cluster)
                    || !alarm.dimensions.contains_key("ClusterName"))
            {
                return Some((alarm, Sure::Yes));
            }
            if machine.is_some_and(|machine| is(alarm, "StateMachineArn", machine)) {
                return Some((alarm, Sure::No));
            }
            (!named && contains_word(&alarm.name, &service.name)).then_some((alarm, Sure::No))
        })
        .collect()
}

fn deployed_by<'a>(service: &EcsService, groups: &'a [Group]) -> Option<(&'a Group, Sure)> {
    let ours = (service.cluster.clone(), service.name.clone());
    let sure = groups.iter().find(|group| group.ecs.contains(&ours)).map(|group| (group, Sure::Yes));
    sure.or_else(|| {
        let named = |group: &&Group| {
            group.ecs.is_empty() && (group.application == service.name || group.name == service.name)
        };
        groups.iter().find(named).map(|group| (group, Sure::No))
    })
}

fn environment(tag: Option<&str>, cluster: &str) -> (&'static str, Sure) {
    let of = |text: &str| {
        let text = text.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match () {
            () if has(&["stag", "test", "qa", "uat"]) => Some("staging"),
            () if has(&["dev", "sandbox"]) => Some("development"),
            () if has(&["prod", "live"]) => Some("production"),
            () => None,
        }
    };
    match tag.and_then(of) {
        Some(environment) => (environment, Sure::Yes),
        None => (of(cluster).unwrap_or("production"), Sure::No),
    }
}

/// A name that no other service has: its own, with its cluster, with its account and region.
fn free_name(service: &EcsService, account: &Account, taken: &BTreeSet<String>) -> String {
    let own = name_of(&service.name);
    let with_cluster = format!("{own}-{}", name_of(&service.cluster));
    let place = [account.id.as_deref(), account.region.as_deref()].map(Option::unwrap_or_default).join("-");
    let tried = [own, with_cluster.clone(), format!("{with_cluster}-{}", name_of(&place))];
    let numbered = (2..).map(|n| format!("{with_cluster}-{n}"));
    tried.into_iter().chain(numbered).find(|name| !taken.contains(name)).unwrap_or_default()
}

/// What a service name may have.
fn name_of(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .take(60)
        .collect();
    if name.is_empty() { "service".to_owned() } else { name }
}

fn list<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.map(quoted).collect::<Vec<_>>().join(", ")
}

/// As TOML writes a text, on one line.
fn quoted(text: &str) -> String {
    toml::Value::String(plain(text)).to_string()
}

/// Without what would end a comment or a line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn contains_word(text: &str, word: &str) -> bool {
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            let before = text.get(..at).and_then(|t| t.chars().next_back());
            let after = text.get(at + word.len()..).and_then(|t| t.chars().next());
            [before, after].into_iter().flatten().all(|c| !c.is_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use midwatch_policy::Catalog;

    use super::*;

    fn account() -> Account {
        let dimensions =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        Account {
            id: Some("123456789012".into()),
            region: Some("us-east-1".into()),
            services: vec![
                EcsService {
                    cluster: "prod".into(),
                    name: "checkout".into(),
                    log_groups: ["/ecs/checkout".to_owned()].into(),
                    tags: [("tier".into(), "1".into()), ("team".into(), "payments, \"risk\"".into())].into(),
                },
                EcsService { cluster: "staging-2".into(), name: "checkout".into(), ..EcsService::default() },
            ],
            alarms: vec![
                SeenAlarm {
                    name: "cpu".into(),
                    dimensions: dimensions(&[("ClusterName", "prod"), ("ServiceName", "checkout")]),
                },
                SeenAlarm { name: "checkout-5xx".into(), ..SeenAlarm::default() },
                SeenAlarm {
                    name: "workflow".into(),
                    dimensions: dimensions(&[(
                        "StateMachineArn",
                        "arn:aws:states:us-east-1:123456789012:stateMachine:checkout-orders",
                    )]),
                },
                SeenAlarm { name: "billing\n[[service]]".into(), ..SeenAlarm::default() },
            ],
            groups: vec![Group {
                application: "shop".into(),
                name: "blue-green".into(),
                ecs: vec![("prod".into(), "checkout".into())],
            }],
            log_groups: BTreeSet::new(),
            machines: Some(
                ["arn:aws:states:us-east-1:123456789012:stateMachine:checkout-orders".to_owned()].into(),
            ),
        }
    }

    #[test]
    fn what_is_written_is_a_catalog_and_says_what_was_guessed() {
        let mut taken = BTreeSet::new();
        let draft = draft(&account(), Some("arn:aws:iam::123456789012:role/read"), &mut taken);
        let text = format!("{HEAD}{}", draft.text);
        let catalog = Catalog::parse(&text).unwrap();
        assert_eq!((draft.services, catalog.services().count()), (2, 2));
        let find = |name: &str| catalog.services().find(|s| s.name.as_str() == name).unwrap();
        let first = find("checkout");
        assert_eq!((first.tier.get(), first.owners.len()), (1, 2));
        assert_eq!(first.alarms, ["cpu"]);
        assert_eq!(first.codedeploy.as_ref().unwrap().application.as_str(), "shop");
        assert!(find("checkout-staging-2").codedeploy.is_none());
        for said in [
            "environment = \"production\" # guess, by the cluster's name",
            "environment = \"staging\" # guess, by the cluster's name",
            "# guess, by its name, add it to `alarms`: \"checkout-5xx\"",
            "tier = 2 # guess",
            "stateMachine:checkout-orders\" # guess, by its name",
            "# guess, by its name, add it to `alarms`: \"workflow\"",
            "#   billing [[service]]",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
        let again = super::draft(&account(), None, &mut taken);
        assert!(again.text.contains("name = \"checkout-prod\""), "{}", again.text);
    }
}

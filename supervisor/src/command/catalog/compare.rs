//! What a catalog says and an account does not have, and the other way round. Pure.

use std::collections::BTreeMap;

use midwatch_policy::{Catalog, Service, glob};

use super::account::Account;

/// The differences, a line each: what, and what to do about it.
pub(super) fn compare(services: &[&Service], catalog: &Catalog, account: &Account) -> Vec<String> {
    let mut lines = Vec::new();
    for service in services {
        let name = &service.name;
        let mut missing = |what: String| lines.push(format!("{name}: {what}"));
        if let (Some(said), Some(found)) = (&service.account, &account.id)
            && said != found
        {
            missing(format!("it says account {said}, and what is read is {found}: give its `role_arn`"));
            continue;
        }
        if let Some(ecs) = &service.ecs {
            let there = account
                .services
                .iter()
                .find(|seen| seen.cluster == ecs.cluster.as_str() && seen.name == ecs.service.as_str());
            match there {
                None => missing(format!("there is no ECS service `{}` in `{}`", ecs.service, ecs.cluster)),
                Some(seen) => {
                    for group in seen.log_groups.iter().filter(|group| !service.log_groups.contains(group)) {
                        missing(format!("it logs to `{group}`: add it to `log_groups`"));
                    }
                }
            }
        }
        for group in service.log_groups.iter().filter(|group| !account.log_groups.contains(*group)) {
            missing(format!("there is no log group `{group}`"));
        }
        if let Some(target) = &service.codedeploy
            && !account.groups.iter().any(|seen| {
                seen.application == target.application.as_str()
                    && seen.name == target.deployment_group.as_str()
            })
        {
            missing(format!(
                "there is no deployment group `{}` of `{}`",
                target.deployment_group, target.application
            ));
        }
        if let (Some(machine), Some(there)) = (&service.state_machine, &account.machines)
            && !there.contains(machine.as_str())
        {
            missing(format!("there is no state machine `{machine}`"));
        }
        for pattern in &service.alarms {
            if !account.alarms.iter().any(|alarm| glob(pattern, &alarm.name)) {
                missing(format!("no alarm is called `{pattern}`"));
            }
        }
    }
    lines.extend(undescribed(services, catalog, account));
    lines
}

fn undescribed(services: &[&Service], catalog: &Catalog, account: &Account) -> Vec<String> {
    let known = |cluster: &str, name: &str| {
        services
            .iter()
            .filter_map(|service| service.ecs.as_ref())
            .any(|ecs| ecs.cluster.as_str() == cluster && ecs.service.as_str() == name)
    };
    let mut lines: Vec<String> = account
        .services
        .iter()
        .filter(|seen| !known(&seen.cluster, &seen.name))
        .map(|seen| format!("`{}` in `{}` is in the account and not in the catalog", seen.name, seen.cluster))
        .collect();
    let none: BTreeMap<String, String> = BTreeMap::new();
    let strays = account.alarms.iter().filter(|alarm| {
        catalog.service_of_alarm(&alarm.name, &alarm.dimensions).is_none()
            && catalog.service_of_alarm(&alarm.name, &none).is_none()
    });
    lines
        .extend(strays.map(|alarm| format!("the alarm `{}` is about no service of the catalog", alarm.name)));
    lines
}

#[cfg(test)]
mod tests {
    use super::{
        super::account::{EcsService, Group, SeenAlarm},
        *,
    };

    const CATALOG: &str = "[[service]]\nname='a'\ntier=1\nenvironment='production'\naccount='123456789012'\n\
        log_groups=['/a']\necs={cluster='c',service='a'}\ncodedeploy={application='x',deployment_group='y'}\n\
        alarms=['a-*']\nstate_machine='arn:aws:states:us-east-1:123456789012:stateMachine:a'\n";

    fn account() -> Account {
        Account {
            id: Some("123456789012".into()),
            region: None,
            services: vec![EcsService {
                cluster: "c".into(),
                name: "a".into(),
                log_groups: ["/a".to_owned()].into(),
                ..EcsService::default()
            }],
            alarms: vec![SeenAlarm { name: "a-5xx".into(), ..SeenAlarm::default() }],
            groups: vec![Group { application: "x".into(), name: "y".into(), ecs: Vec::new() }],
            log_groups: ["/a".to_owned()].into(),
            machines: Some(["arn:aws:states:us-east-1:123456789012:stateMachine:a".to_owned()].into()),
        }
    }

    fn differences(account: &Account) -> Vec<String> {
        let catalog = Catalog::parse(CATALOG).unwrap();
        let services: Vec<&Service> = catalog.services().collect();
        compare(&services, &catalog, account)
    }

    #[test]
    fn what_is_missing_on_either_side_is_said() {
        assert_eq!(differences(&account()), Vec::<String>::new());
        let empty = Account { id: account().id, ..Account::default() };
        assert_eq!(differences(&empty).len(), 4);
        let without = Account { machines: Some(std::collections::BTreeSet::new()), ..account() };
        assert!(differences(&without)[0].contains("there is no state machine `arn:"));
        let mut more = account();
        more.services.push(EcsService { cluster: "c".into(), name: "new".into(), ..EcsService::default() });
        more.alarms.push(SeenAlarm { name: "stray".into(), ..SeenAlarm::default() });
        more.services[0].log_groups.insert("/more".into());
        let said = differences(&more).join("\n");
        for line in
            ["`new` in `c` is in the account", "`stray` is about no service", "add it to `log_groups`"]
        {
            assert!(said.contains(line), "{said}");
        }
        let elsewhere = Account { id: Some("999999999999".into()), ..account() };
        assert!(differences(&elsewhere)[0].contains("give its `role_arn`"));
    }
}

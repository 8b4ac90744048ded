use proptest::prelude::*;

use super::*;

fn shelf() -> Shelf {
    let mut shelf = Shelf::default();
    shelf.add(
        "pool.md",
        "+++\nid='pool'\ntitle='Connection pool exhausted'\nservices=['checkout-api']\n\
         signatures=['connection pool exhausted']\n+++\n# Connection pool exhausted\n\
         ## Cause\nThe new library needs an explicit `pool.close()`.\n## Steps\nRoll back the deployment.\n",
    );
    shelf.add(
        "pool-search.md",
        "+++\nid='pool-search'\ntitle='Connection pool of search'\nservices=['search']\n+++\n\
         # Connection pool of search\nThe connection pool of search is small: raise it.\n",
    );
    shelf.add("oom.md", "# Out of memory\nTasks are killed with OutOfMemoryError. Restart the service.\n");
    shelf.add("deploy.md", "# How we deploy\nDeployments go out at noon.\n");
    shelf
}

fn ids(query: &str, service: Option<&str>) -> Vec<String> {
    let index = Index::build(&shelf()).unwrap();
    let service = service.map(|s| ServiceName::parse(s).unwrap());
    index.search(query, service.as_ref(), 3).unwrap().into_iter().map(|m| m.runbook_id).collect()
}

#[test]
fn an_error_line_finds_its_runbook() {
    let line = "ConnectionTimeoutException: PostgreSQL connection pool exhausted (host=10.0.0.1, waited=<*>)";
    assert_eq!(ids(line, None)[0], "pool");
    assert_eq!(ids("OutOfMemory kill of a task", None)[0], "oom");
    assert_eq!(ids("memory", None), ["oom"]);
}

#[test]
fn the_service_decides_between_runbooks_that_read_alike() {
    assert_eq!(ids("connection pool", Some("search"))[0], "pool-search");
    assert_eq!(ids("connection pool", Some("checkout-api"))[0], "pool");
}

#[test]
fn a_hit_shows_where_it_is() {
    let index = Index::build(&shelf()).unwrap();
    let found = index.search("explicit pool.close()", None, 1).unwrap();
    assert_eq!(found[0].chunk.headings, ["Connection pool exhausted", "Cause"]);
    assert!(found[0].score > 0.0 && found[0].score < 1.0);
}

#[test]
fn signatures_are_matched_whole() {
    let contract = shelf().runbooks["pool"].contract.clone().unwrap();
    assert!(fit(&contract, "x: Connection-pool\nEXHAUSTED", None) > 1.0);
    assert!(fit(&contract, "reconnection pool exhausted", None) <= 1.0);
}

#[test]
fn nothing_to_look_for_finds_nothing() {
    for query in ["", "  ", "the of and", "!!! ++ --"] {
        assert_eq!(ids(query, None), Vec::<String>::new(), "{query:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_query_is_an_error(query in "\\PC{0,60}|[-+\"~^:*?()\\[\\]{}\\\\/ a-z]{0,40}") {
        static INDEX: std::sync::LazyLock<Index> = std::sync::LazyLock::new(|| Index::build(&shelf()).unwrap());
        let found = INDEX.search(&query, None, 3).unwrap();
        prop_assert!(found.len() <= 3);
        prop_assert!(found.iter().all(|m| (0.0..=1.0).contains(&m.score)));
    }
}

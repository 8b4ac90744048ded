use super::*;

/// By line: its template.
fn mine<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut miner = Miner::new();
    let leaves: Vec<Leaf> = lines.into_iter().map(|line| miner.add(line, 0)).collect();
    miner.settle();
    leaves.into_iter().map(|leaf| miner.text(miner.template(leaf))).collect()
}

fn templates<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut all = mine(lines);
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn values_vary_and_verbs_do_not() {
    let users = ["alice", "bob", "carol", "dave", "erin"];
    let lines: Vec<String> = users
        .iter()
        .flat_map(|user| {
            ["opened", "closed"].map(|verb| format!("session {verb} for user {user} at the desk"))
        })
        .collect();
    assert_eq!(
        templates(lines.iter().map(String::as_str)),
        ["session closed for user <*> at the desk", "session opened for user <*> at the desk"]
    );
}

#[test]
fn the_rest_is_told_apart_from_what_was_mined() {
    let mut miner = Miner::new();
    // A line whose template is a value alone is none of the rest.
    let value = miner.add("10.0.0.1", 0);
    let mut leaves = Vec::new();
    for n in 0..9000_u32 {
        let word = |m: u32| -> String {
            let mut left = n.wrapping_mul(2_654_435_761).wrapping_add(m.wrapping_mul(97));
            (0..7)
                .map(|_| {
                    let c = b'a' + u8::try_from(left % 26).unwrap();
                    left /= 26;
                    char::from(c)
                })
                .collect()
        };
        leaves.push(miner.add(&(0..5).map(word).collect::<Vec<_>>().join(" "), 0));
    }
    let late = miner.add("10.0.0.1", 0);
    miner.settle();
    assert_eq!((miner.is_rest(miner.template(value)), miner.template(value)), (false, miner.template(late)));
    let rest = leaves.iter().filter(|leaf| miner.is_rest(miner.template(**leaf))).count();
    assert!(rest > 0 && rest < 9000, "{rest}");
    let one = leaves.iter().map(|leaf| miner.template(*leaf)).find(|id| miner.is_rest(*id)).unwrap();
    assert_eq!(miner.text(one), "<*>");
}

#[test]
fn a_few_states_are_words_and_stay_apart() {
    let found = templates([
        "health check of the store is passing",
        "health check of the store is failing",
        "health check of the store is unknown",
    ]);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn two_are_enough_where_they_look_like_values() {
    assert_eq!(
        templates([
            "reading /var/lib/a/x1 took long",
            "reading /var/lib/b/x2 took long",
            "lookup of db.eu.internal.example failed",
            "lookup of cache.us.internal.example failed",
        ]),
        ["lookup of <*> failed", "reading /var/lib/<*>/<*> took long"]
    );
}

#[test]
fn what_is_a_value_in_one_line_is_one_in_another() {
    let mut lines: Vec<String> = ["alice", "bob", "carol", "dave"]
        .map(|user| format!("closed the session of user {user} today"))
        .to_vec();
    lines.extend(["alice", "dave"].map(|user| format!("opened a session of user {user}")));
    assert_eq!(
        templates(lines.iter().map(String::as_str)),
        ["closed the session of user <*> today", "opened a session of user <*>"]
    );
}

#[test]
fn leaders_belong_to_their_word() {
    let found = templates(["wait enable.......0", "wait enable.......1", "debug enable.......1"]);
    assert_eq!(found, ["debug enable.......1", "wait enable.......<num>"].map(|t| t.replace(".1", ".<num>")));
}

#[test]
fn kinds_are_never_mixed() {
    let mut miner = Miner::new();
    let leaves = [miner.add("cannot reach 10.0.0.1", 0), miner.add("cannot reach 10.0.0.2", 1)];
    miner.settle();
    let ids = leaves.map(|leaf| miner.template(leaf));
    assert_ne!(ids[0], ids[1]);
    assert_eq!((miner.kind(ids[0]), miner.kind(ids[1])), (Some(0), Some(1)));
}

#[test]
fn the_order_of_the_lines_does_not_matter() {
    let lines: Vec<String> = (0..400_usize)
        .map(|n| {
            let name = ["amber", "birch", "cedar", "dune", "elder", "fern", "grove"][n * n % 7];
            match n % 5 {
                0 => format!("accepted password for {name} from 10.0.{n}.1 port {n}"),
                1 => format!("failed password for invalid user {name} from host-{n}.example.net"),
                2 => format!("queue {name} is full ({n} of 400 waiting)"),
                3 => format!("GET /shop/{name}/items/{n} took {n}ms"),
                _ => format!("worker {n} restarted after {}", ["crash", "timeout"][n % 2]),
            }
        })
        .collect();
    let forward = mine(lines.iter().map(String::as_str));
    let mut backward = mine(lines.iter().rev().map(String::as_str));
    backward.reverse();
    assert_eq!(forward, backward);
    assert_eq!(
        templates(lines.iter().map(String::as_str)).len(),
        6,
        "{:?}",
        templates(lines.iter().map(String::as_str))
    );
}

#[test]
fn templates_for_the_literature_have_stars_only() {
    let mut miner = Miner::new();
    let leaf = miner.add("took 12.5ms for /var/run/a.sock from 10.0.0.1:80 by a@b.example", 0);
    miner.settle();
    let id = miner.template(leaf);
    assert_eq!(miner.starred(id), "took <*>.<*> for <*> from <*>:<*> by <*>");
    assert_eq!(miner.text(id), "took <num>ms for /var/run/a.sock from <ip> by <email>");
}

/// A word without digits for a number.
fn word(n: usize) -> String {
    let letters: Vec<char> = ('a'..='z').collect();
    (0..6).map(|place| letters[(n / 26_usize.pow(place) + 7 * place as usize) % 26]).collect()
}

#[test]
fn templates_words_and_memory_are_bounded() {
    let mut miner = Miner::new();
    for n in 0..40_000_usize {
        // Nothing in these lines is alike.
        miner.add(
            &(0..6).map(|place| word(n.wrapping_mul(2_654_435_761) >> place)).collect::<Vec<_>>().join(" "),
            0,
        );
    }
    miner.settle();
    assert!(miner.len() <= 2 * MAX_TEMPLATES + 1, "{}", miner.len());
    assert!(miner.templates.len() <= MAX_EVER + 1);
    assert!(miner.bytes <= MAX_REMEMBERED && miner.words.bytes() <= MAX_WORD_BYTES + 10_000);
}

#[test]
fn many_names_become_one_template_while_reading_goes_on() {
    let mut miner = Miner::new();
    let leaves: Vec<Leaf> =
        (0..20_000).map(|n| miner.add(&format!("session of {} ended after an error", word(n)), 0)).collect();
    miner.settle();
    assert_eq!(miner.len(), 1);
    assert!(leaves.iter().all(|leaf| miner.template(*leaf) == miner.template(leaves[0])));
    assert!(miner.templates.len() < 10_000, "{}", miner.templates.len());
}

#[test]
fn a_line_of_a_megabyte_is_cut() {
    let line = "word ".repeat(200_000);
    assert!(mine([line.as_str()])[0].len() < 2 * crate::MAX_LINE);
    let unbroken = "é".repeat(500_000);
    assert!(mine([unbroken.as_str()])[0].len() <= crate::MAX_LINE);
}

#[test]
fn an_empty_line_has_an_empty_template() {
    assert_eq!(mine(["", "  ", "\u{1}\u{7}"]), ["", "", ""]);
}

proptest::proptest! {
    #[test]
    fn any_lines_are_mined_without_panic(lines in proptest::collection::vec("(?s).{0,60}|([a-c]{1,2}[ =/:.0-2]){0,12}", 0..40)) {
        let mut miner = Miner::new();
        let leaves: Vec<Leaf> = lines.iter().map(|line| miner.add(line, 0)).collect();
        for (line, leaf) in lines.iter().zip(&leaves) {
            proptest::prop_assert_eq!(miner.add(line, 0), *leaf);
        }
        miner.settle();
        for leaf in leaves {
            let id = miner.template(leaf);
            let (text, stars) = (miner.text(id), miner.starred(id));
            proptest::prop_assert!(!text.chars().any(|c| c.is_ascii_control()) && !stars.chars().any(|c| c.is_ascii_control()));
        }
    }
}

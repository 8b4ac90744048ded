use midwatch_policy::{Action, Authorised};

fn swap(authorised: &mut Authorised, action: Action) {
    authorised.action = action;
}

fn main() {}

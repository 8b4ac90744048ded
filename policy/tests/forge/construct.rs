use midwatch_policy::{Action, Authorised, Claims};

fn forge(claims: Claims, action: Action) -> Authorised {
    Authorised { claims, action }
}

fn main() {}

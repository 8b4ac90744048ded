use midwatch_policy::{Authorised, VerifiedPermit};

fn twice(authorised: &Authorised, permit: &VerifiedPermit) -> (Authorised, VerifiedPermit) {
    (Authorised::clone(authorised), VerifiedPermit::clone(permit))
}

fn main() {}

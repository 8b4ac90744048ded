use midwatch_policy::{Authorised, ExpectedState, VerifiedPermit};

fn both(permit: VerifiedPermit, live: &ExpectedState) -> [Authorised; 2] {
    [permit.against(live).unwrap(), permit.against(live).unwrap()]
}

fn main() {}

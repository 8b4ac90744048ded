use midwatch_policy::{Authorised, Terms, VerifiedPermit};

fn both(permit: VerifiedPermit, live: &Terms) -> [Authorised; 2] {
    [permit.against(live).unwrap(), permit.against(live).unwrap()]
}

fn main() {}

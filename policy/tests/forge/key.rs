use midwatch_policy::SigningKey;

fn spread(key: &SigningKey) -> (SigningKey, String, String) {
    (key.clone(), key.to_string(), serde_json::to_string(key).unwrap())
}

fn main() {}

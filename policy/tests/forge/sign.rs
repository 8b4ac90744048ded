use midwatch_policy::SigningKey;

fn anything(key: &SigningKey) {
    let _ = key.sign(b"anything", b"midwatch permit 1");
}

fn main() {}

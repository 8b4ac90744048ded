use proptest::prelude::*;

use super::*;

fn kinds(text: &str) -> Vec<(SecretKind, usize)> {
    redact(text).counts.into_iter().collect()
}

/// Secrets are put together here, so that no scanner takes this file for a leak.
fn secrets() -> Vec<(SecretKind, String, String)> {
    use SecretKind::{ApiKey, AwsKeyId, AwsSecret, Bearer, Card, Email, Password, PrivateKey, Token};
    let id = format!("AKIA{}", "Z7QK3MNB2VCX9LPW");
    let aws = format!("{}/{}", "wJalrXUtnFEMI7K7MDENG", "bPxRfiCYzK3ABCDEF1");
    let jwt = format!("eyJ{}.eyJ{}.{}", "hbGciOiJIUzI1NiJ9", "zdWIiOiIxMjM0In0", "SflKxwRJSMeKKF2QT4");
    let pem = format!("-----BEGIN RSA {0}-----\nMIIEow\nAAAA+bbbb\n-----END RSA {0}-----", "PRIVATE KEY");
    let s = |text: &str| text.to_owned();
    vec![
        (AwsKeyId, format!("using key {id} for sts"), id.clone()),
        (AwsSecret, format!("{id},{aws}\n"), aws.clone()),
        (Password, format!("aws_secret_access_key = {aws}"), aws.clone()),
        (Password, format!(r#"{{"SecretAccessKey": "{aws}", "Expiration": "x"}}"#), aws.clone()),
        (Bearer, s("Authorization: Bearer abcdef012345"), s("abcdef012345")),
        (Bearer, s("curl -H 'Authorization: Basic dXNlcjpwYXNz'"), s("dXNlcjpwYXNz")),
        (Bearer, s("sent bearer 9f8e7d6c5b4a"), s("9f8e7d6c5b4a")),
        (Bearer, s("Cookie: sid=abc123; theme=dark"), s("abc123")),
        (Token, format!("token was {jwt} in"), jwt.clone()),
        (Password, s("postgres://app:hunter2@db.example:5432/x"), s("hunter2")),
        (Password, s("postgres://app:p@ss:word@db.example:5432/x"), s("p@ss:word")),
        (Password, s("redis://:s3cr3t@cache:6379"), s("s3cr3t")),
        (Password, s("jdbc:postgresql://h/db?user=a&password=hunter2&ssl=true"), s("hunter2")),
        (Password, s("db.password=hunter2"), s("hunter2")),
        (Password, s("PGPASSWORD='two words'"), s("two words")),
        (Password, s(r#"{"user":"a","password":"hun\"ter2","x":1}"#), s("ter2")),
        (Password, s(r#"body={\"password\":\"hunter2\",\"x\":1}"#), s("hunter2")),
        (Password, s("Config{user=a, password=hunter2}"), s("hunter2")),
        (Password, s("mysqldump --password hunter2 shop"), s("hunter2")),
        (Password, s("<ns:Password type=\"x\">hunter2</ns:Password>"), s("hunter2")),
        (Password, s("client_secret: 'geheim'"), s("geheim")),
        (Password, s("Server=h;User Id=a;Pwd=hunter2;Timeout=5"), s("hunter2")),
        (Password, s("passwörd is ü; password=pässwörd end"), s("pässwörd")),
        (Password, s("refresh_token=1//0gabcdefghijkl"), s("0gabcdefghijkl")),
        (PrivateKey, format!("loaded {pem} ok"), s("AAAA+bbbb")),
        (ApiKey, format!("pushed with gh{}_{}", "p", "a1B2".repeat(9)), "a1B2".repeat(9)),
        (ApiKey, format!("slack xox{}-123456789012-abcDEF", "b"), s("123456789012-abcDEF")),
        (ApiKey, format!("openai s{}-proj-abc123abc123abc123abc", "k"), s("abc123abc123abc123abc")),
        (ApiKey, format!("google AI{}{}", "za", "A1b2C".repeat(7)), "A1b2C".repeat(7)),
        (Email, s("mail to jane.doe+x@shop.example.com failed"), s("jane.doe+x@shop.example.com")),
        (Card, s("charge card 4111 1111 1111 1111 declined"), s("4111 1111 1111 1111")),
        (Card, s("pan=5500005555555559."), s("5500005555555559")),
        (Card, s("amex 378282246310005"), s("378282246310005")),
        (Card, s("charge 4111.1111.1111.1111 failed"), s("4111.1111")),
        (Password, s(r#"bad env {"name":"DB_PASSWORD","value":"hunter2"}"#), s("hunter2")),
        (Password, s(r#"{"m":"bad env [{\"name\":\"DB_PASSWORD\",\"value\":\"hunter2\"}]"}"#), s("hunter2")),
        (Password, s("- name: DB_PASSWORD\n  value: hunter2\n"), s("hunter2")),
        (Password, s(r#"{"ParameterKey":"ApiToken","ParameterValue":"hunter2Kx9Wm"}"#), s("hunter2Kx9Wm")),
        (AwsSecret, format!(r#"{{"k1":"{id}","k2":"{aws}"}}"#), aws.clone()),
        (
            AwsSecret,
            format!("creds {}X2VjEJr///wEaCXVz failed", "IQoJb3Jp".to_owned() + "Z2lu"),
            s("X2VjEJr///wEaCXVz"),
        ),
        (Password, s("GET /cb?next=%2Flogin%3Fuser%3Da%26password%3Dhunter2 failed"), s("hunter2")),
        (Password, s("body=%7B%22password%22%3A%22hunter2%22%7D"), s("hunter2")),
        (Password, s("to=%252Flogin%253Fpassword%253Dhunter2"), s("hunter2")),
        (Password, s("dial postgres%3A%2F%2Fapp%3Ahunter2%40db%3A5432"), s("hunter2")),
        (Email, s("GET /u?mail=jane.doe%40shop.example.com"), s("jane.doe")),
        (Password, s("config cGFzc3dvcmQ9aHVudGVyMjt1c2VyPWE= failed"), s("cGFzc3dvcmQ9aHVudGVyMjt1c2VyPWE")),
        (Bearer, s("upstream rejected Basic YXBwOmh1bnRlcjI= twice"), s("YXBwOmh1bnRlcjI")),
        (AwsKeyId, format!("dump {}", base64(&id)), base64(&id)),
        (Password, s("connect user=a pass=hunter2 failed"), s("hunter2")),
        (Password, s("CREATE ROLE app WITH PASSWORD 'hunter2'"), s("hunter2")),
        (Password, s("ALTER USER app IDENTIFIED BY 'hunter2'"), s("hunter2")),
        (Password, s("curl -s -u app:hunter2 https://x failed"), s("hunter2")),
        (Password, s(r#"headers [["x-api-key","hunter2Kx9Wm"]] failed"#), s("hunter2Kx9Wm")),
        (Password, s("headers [('x-api-key', 'hunter2Kx9Wm')] failed"), s("hunter2Kx9Wm")),
        (Password, s("headers map[X-Api-Key:[hunter2Kx9Wm]] failed"), s("hunter2Kx9Wm")),
    ]
    .into_iter()
    .chain(told())
    .chain(commands())
    .chain(provided())
    .collect()
}

/// In sentences, between a user and a host, and under names that only look like theirs.
fn told() -> Vec<(SecretKind, String, String)> {
    [
        ("the password is hunter2!x", "hunter2!x"),
        ("password for db: hunter2!x", "hunter2!x"),
        ("the password for the shop database is Tr0ub4dor&3, keep it", "Tr0ub4dor&3"),
        ("password was changed to hunter2x by admin", "hunter2x"),
        ("logged in as app with password hunter2!x", "hunter2!x"),
        ("root password set to \"hunter2x\"", "hunter2x"),
        ("the api key is 9fKx2LmPq8Rt5VwZ", "9fKx2LmPq8Rt5VwZ"),
        ("your access token is 0f9e8d7c6b5a49382716.", "0f9e8d7c6b5a49382716"),
        ("refused by app:hunter2@db.internal:5432/shop", "hunter2"),
        ("connect app:pw@host failed", "pw@"),
        ("dsn=app:pw@db:5432", "pw@"),
        ("app:geheim@db:5432/shop refused", "geheim"),
        ("app:hunter2@tcp(db:3306)/shop", "hunter2"),
        ("p\u{430}ssword=hunter2", "hunter2"),
        ("\u{ff50}\u{ff41}\u{ff53}\u{ff53}\u{ff57}\u{ff4f}\u{ff52}\u{ff44}\u{ff1d}hunter2", "hunter2"),
        ("password\u{ff1a}hunter2", "hunter2"),
        ("pass\u{200b}word=hunter2", "hunter2"),
        (r"password\u003dhunter2", "hunter2"),
        (r#"{"m":"p\u0430ssword=hunter2"}"#, "hunter2"),
        ("\u{1d429}\u{1d41a}\u{1d42c}\u{1d42c}\u{1d430}\u{1d428}\u{1d42b}\u{1d41d}: hunter2", "hunter2"),
    ]
    .map(|(text, secret)| (SecretKind::Password, text.to_owned(), secret.to_owned()))
    .into()
}

fn commands() -> Vec<(SecretKind, String, String)> {
    [
        ("mysql -pHunter", "Hunter"),
        ("ran mysql -u root -pHunter shop", "Hunter"),
        ("mysqldump -h db -u app -p'hunter2' shop", "hunter2"),
        (r#"args ["mysql","-u","root","-phunter2"]"#, "hunter2"),
        ("redis-cli -h cache -a hunter ping", "hunter"),
        (r#"args ["redis-cli","-a","hunter"]"#, "hunter"),
        (r#"1339518083.107412 [0 127.0.0.1:60866] "AUTH" "hunter""#, "hunter"),
        (r#"1339518083.107412 [0 127.0.0.1:60866] "AUTH" "app" "hunter""#, "\"hunter"),
        (r#"args ["curl","-u","app:hunter2"]"#, "hunter2"),
        ("wget --user app:hunter2 https://x", "hunter2"),
        ("sshpass -p hunter ssh a@b", "hunter"),
        ("sshpass -phunter ssh a@b", "hunter"),
        ("docker login -u ci -p hunter registry.example.com", "hunter"),
        ("mongodump -h db -u app -p hunter -d shop", "hunter"),
        ("ldapsearch -x -D cn=admin -w hunter -b dc=x", "hunter"),
        ("smbclient //nas/share -U app%hunter", "hunter"),
        ("sqlplus app/hunter@orcl", "hunter"),
        ("openssl rsa -in k.pem -passin pass:hunter", "pass:hunter"),
        (r#"args ["--password","hunter2"]"#, "hunter2"),
        ("keytool -storepass hunter2 -list", "hunter2"),
    ]
    .map(|(text, secret)| (SecretKind::Password, text.to_owned(), secret.to_owned()))
    .into()
}

fn provided() -> Vec<(SecretKind, String, String)> {
    let (hex, mixed) = ("0f1e2d3c4b5a6978".repeat(2), "a1B2c3D4e5".repeat(4));
    let part = |length: usize| mixed.get(..length).unwrap();
    let of = |before: &str, secret: &str, after: &str| {
        (SecretKind::ApiKey, format!("{before}{secret}{after}"), secret.to_owned())
    };
    vec![
        of("POST https://hooks.slack.com/services/", "T00000000/B00000000/a1B2c3D4e5", " 404"),
        of("https://discord.com/api/webhooks/123456789012345678/", &mixed, " failed"),
        of("https://acme.webhook.office.com/webhookb2/", "3f2504e0-4f89@9a0c/IncomingWebhook/a1/b2", " 400"),
        of("https://hooks.zapier.com/hooks/catch/", "1234567/abc1def2", "/ 410"),
        of("https://chat.example.com/hooks/", "abc123def456ghi789jkl0mnop", " 500"),
        of("POST https://api.telegram.org/bot", &format!("123456789:AA{}", part(33)), "/sendMessage"),
        of("token ", &format!("123456789:AA{}", part(33)), " refused"),
        of(&format!("twilio AC{hex}:"), &"fedcba9876543210".repeat(2), " refused"),
        of("client ", &format!("abc8Q~{}", part(34)), " refused"),
        of("pushed with ", &format!("gldt-{}", part(20)), " ok"),
        of("oauth ", &format!("GOCSPX-{}", part(28)), " ok"),
        of("refresh ", &format!("1//0{}", part(30)), " ok"),
        of("pull ", &format!("dckr_pat_{}", part(24)), " ok"),
        of("mail ", &format!("SG.{}.{}", part(22), part(30)), " ok"),
        (
            SecretKind::Password,
            format!("AccountName=shop;AccountKey={mixed}{mixed}==;EndpointSuffix=core.windows.net"),
            mixed.clone(),
        ),
        (
            SecretKind::Bearer,
            format!("GET https://shop.blob.core.windows.net/a?sv=2022&sig={mixed}%3D"),
            mixed,
        ),
    ]
}

fn base64(plain: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(plain)
}

#[test]
fn every_kind_is_found_and_gone() {
    for (kind, text, secret) in secrets() {
        let redacted = redact(&text);
        assert!(redacted.counts.contains_key(&kind), "{text:?}: {:?}", redacted.counts);
        assert!(!redacted.text.contains(&secret), "{text:?} became {:?}", redacted.text);
    }
}

#[test]
fn what_surrounds_a_secret_stays() {
    let text = "2026-11-21 02:01:07 ERROR [req-7f3a] postgres://app:hunter2@db.internal:5432/shop refused, password=hunter2, retry=3";
    assert_eq!(
        redact(text).text,
        "2026-11-21 02:01:07 ERROR [req-7f3a] postgres://app:[redacted:password]@db.internal:5432/shop refused, \
         password=[redacted:password], retry=3"
    );
}

#[test]
fn ordinary_lines_come_back_byte_for_byte() {
    for text in [
        "2026-11-21T02:01:07.123Z ERROR ConnectionTimeoutException: PostgreSQL connection pool exhausted",
        "request_id=7f3a9c1e-5b2d-4e8f-9a1b-2c3d4e5f6a7b trace_id=1-5f84c7a5-0123456789abcdef01234567 status=503",
        "arn:aws:ecs:us-east-1:123456789012:task-definition/checkout-api:41 deployment d-ABCDEF123",
        "ecs-svc/9223370421234567890 sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "commit 74e1f0c2a9d8b7c6e5f4a3b2c1d0e9f8a7b6c5d4 by deploy-bot",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "Failed password for invalid user admin from 10.0.0.1 port 22 ssh2",
        "password: incorrect",
        "password=null",
        "Invalid password: must not be empty",
        "PWD=/srv/app",
        "Unexpected token: IDENT at 3",
        "nextToken=AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
        "input_tokens: 4096",
        "bearer authentication failed",
        "PasswordAuthentication no",
        "MISS cache-key-0f1e2d3c4b5a69780f1e2d3c4b5a6978 upstream 200",
        "GET s3://bucket/0f1e2d3c4b5a69780f1e2d3c4b5a6978-us1/part",
        "gldt-service-prod-us-east-1-a-20 is ready",
        "pod checkout:3f9c1a2b@ip-10-0-1-5.ec2.internal OOMKilled",
        "Deployed checkout:build-2231@ip-10-0-1-5.ec2.internal",
        "consumer group orders:v2-group@kafka1.internal rebalanced",
        "worker queue:emails-2@rabbit1.internal is slow",
        "credentials for role Checkout2: AccessDenied403",
        "credentials for task t-1: ExpiredTokenException400",
        "login using password caching_sha2_password failed",
        "Password for postgres changed to scram-sha-256",
        "lock token is 0f1e2d3c4b5a69780f1e2d3c4b5a6978",
        "docker exec mysql ls -plah /var/lib/mysql",
        "unzip -P layer.zip",
        "POST http://ci.example.com/hooks/deployments/production2024 returned 500",
        "not authorized to perform secretsmanager:GetSecretValue on arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbC123",
        "token expired for session 12",
        "Receiving block blk_-1608999687919862906 src: /10.250.19.102:54106 dest: /10.250.19.102:50010",
        "order 4111111111111112 shipped",
        "ts=1763712345678901 seq=4532015112830366123",
        "git clone git@github.com:acme/shop.git",
        "left-pad@1.3.0 com.acme.Pool@1a2b3c root@ip-10-0-0-1.ec2.internal",
        "image 123456789012.dkr.ecr.us-east-1.amazonaws.com/checkout:1.4.2@sha256:abc",
        "secret=arn:aws:secretsmanager:x",
        "http://host:8080/path?mail=x",
        "sk-learn-style-estimator-interface failed",
        "auth: ok",
        "auth=enabled",
        "Session 0x14ed93111f20027 for server null, AIDAZ7QK3MNB2VCX9LPW",
        "pass: 12 fail: 0",
        "${DB_PASSWORD}",
        "password=${DB_PASSWORD}",
        "password=********",
        "====================================================================",
        r#"missing fields ["password", "email"]"#,
        r#"{"name":"NEXT_TOKEN","value":"3"}"#,
        r#"{"name":"DB_PASSWORD","valueFrom":"arn:aws:secretsmanager:x"}"#,
        r#"{"name":"AWS_REGION","value":"us-east-1"}"#,
        "checks pass=12 fail=0, bypass=enabled, pass=true",
        "Basic authentication failed, basic understanding required",
        "GET /search?q=100%25%20wool%3A%20red%2Fblue&page=2",
        "image layers/ConnectionTimeoutException QmFzaWNhbGx5IGEgdGV4dCB3aXRob3V0IHNlY3JldHM=",
        "curl -u https://api.example.com:8443/x failed",
        "version 4111.1111.1111.1112",
        "using password: YES, password \"required\"",
        // What is said of passwords and keys is oftener what is wrong with them than what they are.
        "Failed password for root from 2001:db8::1 port 38926 ssh2",
        "Failed password for root: attempt3 of 5",
        "password for user: bob1234 was asked for",
        "password for app: ORA-01017: invalid username/password",
        "password for app: HTTP401",
        "password is 8-character minimum, the password is too short",
        "the password was reset at 2026-11-21T02:01:07Z",
        "password was expired 30d ago, password is sha256-hashed",
        "secret is db-credentials-v2, the token is expired",
        "credentials for i-0abc123def456: expired",
        "api key is missing",
        "docker run --name mysql -p3306:3306 mysql:8",
        "docker run mongo -p 27017:27017",
        "mysql -p -u root shop",
        "mysql -p$MYSQL_PASSWORD shop",
        "redis-cli -h cache -p 6379 ping",
        "AUTH failed",
        "250-AUTH PLAIN LOGIN XOAUTH2",
        "error: AUTH timeout after 30s",
        "openssl -passin pass:$PASS",
        "sip:1001@10.0.0.5:5060 user:root@10.0.0.1:22",
        "image checkout:1.4.2@sha256:abcdef01 npm:left-pad@1.3.0 com.acme:lib@aar",
        "tcp:http@10.0.0.1:8080",
        "WARN [LeaseRenewer:hdfs@namenode-1:9000] Failed to renew lease",
        "mysql-connector -pool-size 5, mysql -port 3307",
        "POST https://x.example/hooks/pre-receive/2024-main",
        "GET /hooks/list 200, pre-commit hooks/pre-push/2024 ran",
        "see https://grafana.example.com/d/hooks/overview",
        "telegram bot 123456:ABC",
        "use --password to set one, --token-file /run/secrets/token",
        "\u{41f}\u{430}\u{440}\u{43e}\u{43b}\u{44c} \u{43d}\u{435} \u{43f}\u{440}\u{438}\u{43d}\u{44f}\u{442}: 7",
        "na\u{ef}ve caf\u{e9} \u{2013} 5 \u{b5}s",
    ] {
        assert_eq!(redact(text).text, text);
        assert!(kinds(text).is_empty());
    }
}

#[test]
fn what_ends_its_line_is_told_by_that() {
    for (text, shown) in [
        ("AUTH hunter2x", "AUTH [redacted:password]"),
        ("redis command AUTH default hunter2x\nOK", "redis command AUTH default [redacted:password]\nOK"),
        (">>> AUTH PLAIN AGFwcABodW50ZXIy", ">>> AUTH PLAIN [redacted:password]"),
        ("the password is 123456.", "the password is [redacted:password]."),
        ("the password is 123456 bytes long", "the password is 123456 bytes long"),
    ] {
        assert_eq!(redact(text).text, shown);
    }
}

#[test]
fn a_placeholder_in_the_input_hides_nothing() {
    let redacted = redact("password=[redacted:password]hunter2 x");
    assert!(!redacted.text.contains("hunter2"), "{}", redacted.text);
    assert!(kinds("password=[redacted:password] x").is_empty());
}

#[test]
fn a_cut_private_key_goes_as_far_as_base64_goes() {
    let line = "MIIEowIBAAKCAQEAx1Yq7vWz0n3k2J5l8m9Q".repeat(2);
    let text = format!("-----BEGIN {}-----\n{line}\n{line}", "PRIVATE KEY");
    assert_eq!(redact(&text).text, "[redacted:private_key]");
    assert_eq!(redact(&format!("  {}", line.get(..64).unwrap())).text, "  [redacted:private_key]");
}

#[test]
fn hostile_text_takes_linear_time() {
    for unit in [
        "-----BEGIN PRIVATE KEY-----",
        "password=\"",
        "a@",
        "4111 ",
        "eyJ",
        "http://a:",
        "<password>",
        "cookie: a=",
        "mysql ",
        "redis-cli -h ",
        "password is ",
        "password for a ",
        "curl -u ",
        "a:b@",
        "\u{430}:",
        "AUTH a ",
    ] {
        let text = unit.repeat(40_000 / unit.len());
        // Quadratic work on 40 kB would outlast any test limit.
        let _ = redact(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn twice_is_once(text in "(?s).{0,200}") {
        let once = redact(&text).text;
        prop_assert_eq!(&redact(&once).text, &once);
    }

    #[test]
    fn secrets_are_gone_whatever_surrounds_them(
        pick in proptest::collection::vec(0..secrets().len(), 1..4),
        glue in "[ \n\t]{1,3}", noise in "[a-zа-я0-9 ]{0,40}",
    ) {
        let all = secrets();
        let mut text = String::new();
        for index in &pick {
            text.push_str(&all[*index].1);
            text.push_str(&glue);
            text.push_str(&noise);
            text.push_str(&glue);
        }
        let once = redact(&text);
        for index in &pick {
            let (_, _, secret) = &all[*index];
            prop_assert!(!once.text.contains(secret.as_str()), "{} in {}", secret, once.text);
        }
        prop_assert_eq!(&redact(&once.text).text, &once.text);
    }
}

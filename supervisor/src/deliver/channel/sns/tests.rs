use midwatch_mcp::{AwsSettings, Roles};
use midwatch_policy::Clock as _;

use super::*;
use crate::deliver::{
    double::{Came, Does, Double, TestClock, about, alarm, escalation},
    notice::Notice,
};

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:oncall";

fn published() -> Does {
    let xml = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
               <MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult></PublishResponse>";
    Does::Answers(200, "content-type: text/xml\r\n", xml.to_owned())
}

fn fault(status: u16, code: &str) -> Does {
    let xml = format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    );
    Does::Answers(status, "content-type: text/xml\r\n", xml)
}

fn topic(double: &Double, arn: &str) -> Sns {
    let settings = AwsSettings::local(&double.url, "us-east-1");
    Sns::new(arn.to_owned(), Account { settings, region: Some("eu-west-1".to_owned()), role_arn: None })
}

async fn send(sns: &Sns, notice: &Notice) -> Said {
    sns.send(Parcel { notice, key: "inc-1/escalation/@all#0", now: notice.at }).await
}

/// The form of awsQuery, decoded.
fn form(came: &Came) -> std::collections::BTreeMap<String, String> {
    let text = String::from_utf8(came.body.clone()).unwrap();
    let decode = |part: &str| {
        let mut out = Vec::new();
        let mut bytes = part.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'%' => {
                    let hex: String = bytes.by_ref().take(2).map(char::from).collect();
                    out.push(u8::from_str_radix(&hex, 16).unwrap());
                }
                b'+' => out.push(b' '),
                byte => out.push(byte),
            }
        }
        String::from_utf8(out).unwrap()
    };
    text.split('&').filter_map(|p| p.split_once('=')).map(|(k, v)| (decode(k), decode(v))).collect()
}

#[tokio::test]
async fn a_topic_gets_text_a_plain_subject_and_attributes_in_its_own_region() {
    let double = Double::that(published()).await;
    let clock = TestClock::at("2026-11-21T02:05:00Z");
    let sns = topic(&double, TOPIC);
    assert_eq!(send(&sns, &escalation("inc-1", &clock)).await, Said::Taken);
    let mut alarm = alarm();
    alarm.reason = "ä".repeat(3_000);
    let raw = Notice::raw_alarm(about("inc-1"), &alarm, "no outcome", clock.now());
    assert_eq!(send(&sns, &raw).await, Said::Taken);
    let came = double.came();
    let first = form(&came[0]);
    assert_eq!((first["Action"].as_str(), first["TopicArn"].as_str()), ("Publish", TOPIC));
    assert!(first["Subject"].is_ascii() && first["Subject"].len() < 100, "{}", first["Subject"]);
    assert!(first["Message"].contains("why: no safe action"));
    assert!(first["Message"].contains("alarm (quoted): \"checkout-5xx\""));
    assert!(!first.contains_key("MessageGroupId"));
    let attributes: Vec<&str> = first
        .iter()
        .filter(|(k, _)| k.starts_with("MessageAttributes") && k.ends_with("Name"))
        .map(|(_, v)| v.as_str())
        .collect();
    assert_eq!(attributes.len(), 4, "{first:?}");
    assert!(came[0].headers["authorization"].contains("/eu-west-1/sns/"));
    assert!(form(&came[1])["Message"].len() <= 16 * 1024);
}

#[tokio::test]
async fn a_fifo_topic_drops_what_is_sent_twice() {
    let double = Double::that(published()).await;
    let sns = topic(&double, &format!("{TOPIC}.fifo"));
    let notice = escalation("inc-1", &TestClock::at("2026-11-21T02:05:00Z"));
    assert_eq!(send(&sns, &notice).await, Said::Taken);
    assert_eq!(send(&sns, &notice).await, Said::Taken);
    let came = double.came();
    let (first, second) = (form(&came[0]), form(&came[1]));
    assert_eq!(first["MessageGroupId"], "inc-1");
    assert_eq!(first["MessageDeduplicationId"], second["MessageDeduplicationId"]);
}

#[tokio::test]
async fn errors_are_for_now_or_for_good_and_the_sdk_does_not_try_by_itself() {
    let double = Double::that(published()).await;
    let sns = topic(&double, TOPIC);
    let notice = escalation("inc-1", &TestClock::at("2026-11-21T02:05:00Z"));
    double.first([
        fault(404, "NotFound"),
        fault(403, "AuthorizationError"),
        fault(400, "Throttling"),
        fault(500, "InternalFailure"),
        fault(403, "ExpiredToken"),
        Does::HangsUp,
    ]);
    assert!(matches!(send(&sns, &notice).await, Said::Never { problem } if problem.contains("NotFound")));
    assert!(matches!(send(&sns, &notice).await, Said::Never { .. }));
    assert!(matches!(send(&sns, &notice).await, Said::NotNow { perhaps: Perhaps::HasNot, .. }));
    assert!(matches!(send(&sns, &notice).await, Said::NotNow { perhaps: Perhaps::Has, .. }));
    assert!(matches!(send(&sns, &notice).await, Said::NotNow { .. }), "credentials are renewed");
    assert!(matches!(send(&sns, &notice).await, Said::NotNow { .. }), "hung up");
    assert_eq!(send(&sns, &notice).await, Said::Taken);
    assert_eq!(double.came().len(), 7, "one request for each attempt");
}

#[tokio::test]
async fn a_role_is_assumed_before_anything_is_published() {
    let sts = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
               <Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
               <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
               </AssumeRoleResult></AssumeRoleResponse>";
    let double = Double::that(published()).await;
    double.first([Does::Answers(200, "content-type: text/xml\r\n", sts.to_owned())]);
    let account = Account {
        settings: AwsSettings { roles: Roles::Assume, ..AwsSettings::local(&double.url, "us-east-1") },
        region: Some("eu-west-1".to_owned()),
        role_arn: Some("arn:aws:iam::210987654321:role/notify".to_owned()),
    };
    let sns = Sns::new(TOPIC.to_owned(), account);
    assert_eq!(send(&sns, &escalation("inc-1", &TestClock::at("2026-11-21T02:05:00Z"))).await, Said::Taken);
    let came = double.came();
    assert_eq!(form(&came[0])["RoleArn"], "arn:aws:iam::210987654321:role/notify");
    assert_eq!(form(&came[0])["RoleSessionName"], "midwatch-notify");
    assert!(came[1].headers["authorization"].contains("ASIAROLE"));
}

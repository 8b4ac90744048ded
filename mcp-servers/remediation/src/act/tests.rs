use midwatch_policy::Catalog;

use super::*;

fn service(extra: &str) -> Service {
    let text = format!("[[service]]\nname='a'\ntier=1\nenvironment='production'\n{extra}");
    Catalog::parse(&text).unwrap().services().next().unwrap().clone()
}

fn role(extra: &str, acting: Option<&str>) -> Option<String> {
    with_role(&service(extra), acting).unwrap().role_arn.map(|arn| arn.to_string())
}

#[test]
fn acting_takes_a_role_of_its_own_in_the_account_of_the_service() {
    let reading = "role_arn='arn:aws-cn:iam::210987654321:role/read'";
    assert_eq!(role(reading, Some("act")).unwrap(), "arn:aws-cn:iam::210987654321:role/act");
    assert_eq!(role(reading, None).unwrap(), "arn:aws-cn:iam::210987654321:role/read");
    assert_eq!(role("", None), None, "the credentials the server runs with");
    // Which account was read is not known, or there is no such role.
    for (extra, acting) in [("", "act"), ("account='123456789012'", "act"), (reading, "a,b c")] {
        let error = with_role(&service(extra), Some(acting)).unwrap_err();
        assert!(error.mend.contains("role_arn"), "{error:?}");
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    // Bound and let go: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let aws = Aws::new(midwatch_mcp::AwsSettings::local(format!("http://127.0.0.1:{port}"), "us-east-1"));
    let clients = session(&aws, &service(""), None, &PermitId::parse("p-1").unwrap()).await.unwrap();
    let error = clients.ecs.update_service().service("a").send().await.unwrap_err();
    assert_eq!(judge(&error), (Ending::Failed, "no connection to AWS; nothing was sent".to_owned()));
}

#[tokio::test]
async fn a_connection_that_breaks_after_sending_leaves_it_open() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let connections = tokio::spawn(async move {
        let mut count = 0;
        while let Ok(Ok((stream, _))) =
            tokio::time::timeout(std::time::Duration::from_millis(800), listener.accept()).await
        {
            count += 1;
            let mut head = [0; 64];
            stream.readable().await.unwrap();
            let _ = stream.try_read(&mut head);
        }
        count
    });
    let aws = Aws::new(midwatch_mcp::AwsSettings::local(endpoint, "us-east-1"));
    let clients = session(&aws, &service(""), None, &PermitId::parse("p-1").unwrap()).await.unwrap();
    let error = clients.ecs.update_service().service("a").send().await.unwrap_err();
    assert_eq!(judge(&error).0, Ending::Ambiguous, "{error:?}");
    assert_eq!(connections.await.unwrap(), 1, "sent more than once");
}

#[tokio::test]
async fn the_permit_stands_in_what_cloudtrail_records_of_the_caller() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 8192];
        let read = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await.unwrap();
        String::from_utf8_lossy(&head[..read]).to_lowercase()
    });
    let aws = Aws::new(midwatch_mcp::AwsSettings::local(endpoint, "us-east-1"));
    let clients = session(&aws, &service(""), None, &PermitId::parse("p-1").unwrap()).await.unwrap();
    let _ = clients.ecs.update_service().service("a").send().await;
    let head = heard.await.unwrap();
    assert!(head.contains("user-agent: ") && head.contains("app/midwatch-p-1"), "{head}");
}

//! Certificates of SNS: fetched once each, from AWS only.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use midwatch_mcp::reqwest::{self, Url};
use midwatch_policy::{SignedDuration, Timestamp};

use super::SnsError;

/// Longest answer that is read.
const LONGEST: usize = 64 * 1024;
/// How long AWS may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long a certificate is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// How many are kept; AWS has one a region, and changes it once a year.
const MOST: usize = 32;

/// What came of a fetch.
pub type Fetched = Result<Vec<u8>, String>;

/// Fetches what AWS serves: the network, or a test's double of it.
pub trait Fetch: Send + Sync + fmt::Debug {
    /// The body at a URL that was found to be AWS's.
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Fetched>;
}

/// Over HTTPS; no redirects, no proxy.
#[derive(Debug, Clone)]
pub struct OverHttps(reqwest::Client);

impl OverHttps {
    /// A client.
    pub fn new() -> Result<Self, reqwest::Error> {
        Ok(Self(midwatch_mcp::http_client()?))
    }
}

impl Fetch for OverHttps {
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Fetched> {
        Box::pin(async move {
            let without_url = |error: reqwest::Error| error.without_url().to_string();
            let mut answer = self.0.get(url).timeout(DEADLINE).send().await.map_err(without_url)?;
            if !answer.status().is_success() {
                return Err(format!("HTTP {}", answer.status()));
            }
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(without_url)? {
                body.extend_from_slice(&chunk);
                if body.len() > LONGEST {
                    return Err(format!("more than {LONGEST} bytes"));
                }
            }
            Ok(body)
        })
    }
}

/// Certificates that were fetched, in DER.
#[derive(Debug)]
pub struct Certificates {
    fetch: Arc<dyn Fetch>,
    /// INVARIANT: never locked across an await.
    known: Mutex<Known>,
}

/// When each was fetched, and its bytes, by its address.
type Known = BTreeMap<String, (Timestamp, Arc<[u8]>)>;

impl Certificates {
    /// None yet.
    pub fn new(fetch: Arc<dyn Fetch>) -> Self {
        Self { fetch, known: Mutex::default() }
    }

    /// The certificate at a URL, if that is where SNS keeps those of the region.
    pub(super) async fn get(&self, url: &str, region: &str, now: Timestamp) -> Result<Arc<[u8]>, SnsError> {
        let parsed = of_aws(url, region).ok_or(SnsError::Signature("its certificate is not from AWS"))?;
        let pem_file = std::path::Path::new(parsed.path()).extension().is_some_and(|end| end == "pem");
        if !pem_file || parsed.query().is_some() {
            return Err(SnsError::Signature("its certificate is not from AWS"));
        }
        if let Some((at, known)) = self.known().get(url)
            && now.duration_since(*at) < KEPT
        {
            return Ok(Arc::clone(known));
        }
        let body = self.fetch.get(url).await.map_err(SnsError::Unreachable)?;
        let (_, pem) = x509_parser::pem::parse_x509_pem(&body)
            .map_err(|_| SnsError::Signature("what is at its certificate's address is none"))?;
        let der: Arc<[u8]> = pem.contents.into();
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(url.to_owned(), (now, Arc::clone(&der)));
        Ok(der)
    }

    /// Confirms a subscription at the address the message names, if that is SNS's.
    pub(super) async fn confirm(&self, url: &str, region: &str) -> Result<(), SnsError> {
        of_aws(url, region).ok_or(SnsError::Signature("its SubscribeURL is not from AWS"))?;
        self.fetch.get(url).await.map(drop).map_err(SnsError::Unconfirmed)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A URL of SNS in that region, and of nothing else.
fn of_aws(url: &str, region: &str) -> Option<Url> {
    let parsed = Url::parse(url).ok()?;
    let host = parsed.host_str()?;
    let hosts = [format!("sns.{region}.amazonaws.com"), format!("sns.{region}.amazonaws.com.cn")];
    let plain = parsed.scheme() == "https"
        && parsed.port().is_none()
        && parsed.username().is_empty()
        && parsed.password().is_none();
    (plain && hosts.iter().any(|ours| ours == host)).then_some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_regions_own_address_is_awss() {
        let good = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-x.pem";
        assert!(of_aws(good, "us-east-1").is_some());
        for bad in [
            "http://sns.us-east-1.amazonaws.com/x.pem",
            "https://sns.us-east-1.amazonaws.com.example.com/x.pem",
            "https://sns.us-east-1.amazonaws.com@example.com/x.pem",
            "https://user@sns.us-east-1.amazonaws.com/x.pem",
            "https://sns.us-east-1.amazonaws.com:8443/x.pem",
            "https://s3.us-east-1.amazonaws.com/x.pem",
            "https://sns.eu-west-1.amazonaws.com/x.pem",
            "https://127.0.0.1/x.pem",
            "",
        ] {
            assert!(of_aws(bad, "us-east-1").is_none(), "{bad}");
        }
    }
}

//! The real remediation server over HTTP, in front of a world: whoever calls has a token.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use midwatch_mcp::{
    Aws, AwsSettings, Client, Ctx, NewPrincipal, Principal, PrincipalKind, Principals, Remote, Standing,
    http::{self, Access, HttpSettings},
};
use midwatch_policy::PublicKeys;
use midwatch_remediation::{PermitSource, RemediationConfig, RemediationServer, SpendStore};
use midwatch_sim::World;
use rmcp::model::CallToolRequestParams;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Name under which permits address it.
pub(crate) const AUDIENCE: &str = "remediation-of-tests";
/// A supervisor.
pub(crate) const CALLER: &str = "supervisor";
/// Another agent client.
pub(crate) const FOREIGN: &str = "editor-7";
/// A desk.
pub(crate) const DESK: &str = "desk";

/// The callers that most tests need.
pub(crate) const CALLERS: [(&str, PrincipalKind); 3] =
    [(CALLER, PrincipalKind::Supervisor), (FOREIGN, PrincipalKind::AgentClient), (DESK, PrincipalKind::Desk)];

/// A remediation server that runs, and the tokens of those who may call it.
pub(crate) struct House {
    addr: SocketAddr,
    tokens: BTreeMap<String, String>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

/// Tokens for callers, and what the server knows of them.
pub(crate) fn let_in(callers: &[(&str, PrincipalKind)]) -> (BTreeMap<String, String>, String) {
    let (mut tokens, mut file) = (BTreeMap::new(), String::new());
    for (name, kind) in callers {
        let made = NewPrincipal::make(&Principal::new(name, *kind).unwrap()).unwrap();
        tokens.insert((*name).to_owned(), made.token);
        file += &made.entry;
    }
    (tokens, file)
}

impl House {
    /// Starts a server over a world, with these callers, keys and this desk; `change` has the last
    /// word about anything else.
    pub(crate) async fn start(
        world: &World,
        callers: &[(&str, PrincipalKind)],
        keys: impl Into<Standing<PublicKeys>>,
        source: Arc<dyn PermitSource>,
        spend: SpendStore,
        change: impl FnOnce(&mut RemediationConfig),
    ) -> Self {
        let (tokens, file) = let_in(callers);
        let mut config = RemediationConfig {
            audience: AUDIENCE.to_owned(),
            local_caller: None,
            source: Some(source),
            keys: keys.into(),
            ..RemediationConfig::planning_only(spend)
        };
        change(&mut config);
        let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
        let ctx = Ctx::new(aws, Arc::new(world.catalog().clone()), world.clock());
        let access = Access::Principals(Principals::parse(&file).unwrap());
        let settings = HttpSettings { access, ..HttpSettings::on("127.0.0.1:0".parse().unwrap()) };
        let bound = http::bind(RemediationServer::new(ctx, config), settings).await.unwrap();
        let (addr, stop) = (bound.local_addr(), CancellationToken::new());
        let until = stop.clone();
        let serving = tokio::spawn(async move { bound.run(until).await.unwrap() });
        Self { addr, tokens, stop, serving }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.addr, http::PATH)
    }

    /// The token of a caller.
    pub(crate) fn token(&self, caller: &str) -> &str {
        &self.tokens[caller]
    }

    /// A connection of a caller.
    pub(crate) async fn client(&self, caller: &str) -> Client {
        Remote::new(&self.url(), self.token(caller)).unwrap().connect().await.unwrap()
    }

    /// Ends it, as a restart would: calls in flight end first.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

/// One call; what came back, be it a receipt or an error.
pub(crate) async fn call(client: &Client, tool: &'static str, arguments: &Value) -> Value {
    let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone());
    client.call_tool(request).await.unwrap().structured_content.unwrap()
}

//! One log group: how much it holds, what reading it would cost, and reading it.

use midwatch_mcp::{AwsResult, ErrorKind, Progress, Time, ToolError, Window};
use midwatch_policy::{SignedDuration, Timestamp};

use crate::{
    insights::Insights,
    meter::Meter,
    patterns::Span,
    price::{self, Declined, Plan},
    reading::{self, Most, Reading},
    scope::Source,
    server::LogsServer,
};

/// One group, read.
pub(crate) struct GroupRead {
    pub(crate) source: Source,
    pub(crate) insights: Insights,
    pub(crate) now: Reading,
    pub(crate) before: Reading,
    kept_from: Option<Timestamp>,
}

impl GroupRead {
    /// Whether anything of a window can be there: it lies neither before the group was created nor before what it keeps.
    pub(crate) fn is_kept(&self, window: Window) -> bool {
        self.now.total > 0 || self.kept_from.is_none_or(|from| from < window.to)
    }

    /// What is to be said of a window that begins earlier.
    pub(crate) fn not_kept(&self, window: Window) -> Option<String> {
        let from = self.kept_from.filter(|from| window.from < *from)?;
        let group = &self.source.group;
        Some(format!(
            "`{group}` has nothing from before {from:.0}: it was created then, or keeps its lines since then"
        ))
    }

    /// Takes one more pass over both windows from the call's bound.
    pub(crate) fn take_pass(&self) -> bool {
        self.insights.meter.take(self.now.bytes.saturating_add(self.before.bytes))
    }
}

/// One group of which is known what it costs; what was small is read already, for nothing.
pub(crate) struct Priced {
    source: Source,
    insights: Insights,
    now: Option<Reading>,
    before: Option<Reading>,
    declined: Option<Declined>,
    kept_from: Option<Timestamp>,
}

impl Priced {
    /// Prices a group, and takes what reading it will scan from the call's bound.
    pub(crate) async fn of(
        server: &LogsServer,
        source: &Source,
        span: Span,
        (progress, meter): (&Progress, &Meter),
    ) -> Result<Self, ToolError> {
        let insights = server.insights(source).await?.of_call(progress, meter);
        let group = &source.group;
        let present = server.ctx().clock.now();
        let size = server.size(&insights.client, group).await?;
        let bytes_in = |window| size.map(|size| size.bytes_in(window, present));
        let bytes = bytes_in(span.now).zip(bytes_in(span.before)).map(|(now, before)| now + before);
        let (now, before) = match bytes {
            Some(bytes) if bytes > 0.0 && bytes < server.config().direct_bytes as f64 => tokio::try_join!(
                reading::whole(&insights, group, span.now),
                reading::whole(&insights, group, span.before),
            )?,
            _ => (None, None),
        };
        let dear: Vec<Window> = [(&before, span.before), (&now, span.now)]
            .into_iter()
            .filter_map(|(reading, window)| reading.is_none().then_some(window))
            .collect();
        // Lines and counts are two passes over the same bytes.
        let stored = size.map(Size::all);
        let plan = Plan { groups: std::slice::from_ref(group), windows: &dear, passes: 2, stored };
        let declined = if dear.is_empty() {
            None
        } else {
            price::afford(&insights, &server.metrics(source).await?, plan).await.err()
        };
        let kept_from = size.map(|size| size.kept_from(present));
        Ok(Self { source: source.clone(), insights, now, before, declined, kept_from })
    }

    /// Why it does not fit into what the call may scan.
    pub(crate) const fn too_much(&self) -> Option<&ToolError> {
        match &self.declined {
            Some(Declined::TooMuch(error)) => Some(error),
            _ => None,
        }
    }

    /// Reads what was not read yet, and keeps of each window at most so much.
    pub(crate) async fn read(self, span: Span, most: Most) -> Result<GroupRead, ToolError> {
        let Self { source, insights, now, before, declined, kept_from } = self;
        let group = &source.group;
        let read = async |reading: Option<Reading>, window| match (reading, &declined) {
            (Some(reading), _) => Ok(reading),
            (None, None) => reading::query(&insights, group, window, most).await,
            (None, Some(Declined::Unpriced(error))) => {
                reading::freely(&insights, group, window, &error.message, most.bytes).await
            }
            (None, Some(Declined::TooMuch(error))) => Err(error.clone()),
        };
        let (now, before) = tokio::try_join!(read(now, span.now), read(before, span.before))?;
        Ok(GroupRead { source, insights, now, before, kept_from })
    }
}

/// How much a group holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    stored: f64,
    created: Timestamp,
    retention_days: Option<i32>,
}

impl Size {
    /// The earliest time of which it can hold lines.
    fn kept_from(self, present: Timestamp) -> Timestamp {
        let days = self.retention_days.filter(|days| *days > 0).map(i64::from);
        let kept = days.and_then(|days| present.checked_sub(SignedDuration::from_hours(24 * days)).ok());
        kept.map_or(self.created, |kept| kept.max(self.created))
    }

    /// All bytes that it holds.
    pub(crate) const fn all(self) -> f64 {
        self.stored
    }

    /// About how many of its bytes lie in a window, if they came evenly.
    pub(crate) fn bytes_in(self, window: Window, present: Timestamp) -> f64 {
        self.stored * reading::share_of_age(window, self.created, present, self.retention_days)
    }
}

impl LogsServer {
    /// How much a group holds; `None` when that cannot be asked. A group that does not exist is an
    /// error that names similar ones.
    pub(crate) async fn size(
        &self,
        client: &aws_sdk_cloudwatchlogs::Client,
        group: &str,
    ) -> Result<Option<Size>, ToolError> {
        let prefix: String = group.chars().take(group.chars().count().saturating_sub(1).max(1)).collect();
        let described = client
            .describe_log_groups()
            .log_group_name_prefix(group)
            .limit(50)
            .send()
            .await
            .aws("logs:DescribeLogGroups");
        let found = match described {
            Ok(found) => found,
            Err(error) if matches!(error.kind, ErrorKind::ExpiredCredentials) => return Err(error),
            // Without this permission the size stays unknown; reading tells whether the group exists.
            Err(_) => return Ok(None),
        };
        if let Some(own) = found.log_groups().iter().find(|known| known.log_group_name() == Some(group)) {
            return Ok(Some(Size {
                stored: own.stored_bytes().unwrap_or_default() as f64,
                created: Time::from_millis(own.creation_time().unwrap_or_default()).0,
                retention_days: own.retention_in_days(),
            }));
        }
        let similar = self.similar(client, group, &prefix).await;
        let mend = if similar.is_empty() {
            "check the name, the region and the account in the catalog".to_owned()
        } else {
            format!("check the name; there are: {}", similar.join(", "))
        };
        Err(ToolError::not_found(format!("no log group `{group}`"), mend))
    }

    /// Groups whose name contains the last part of this one's.
    async fn similar(
        &self,
        client: &aws_sdk_cloudwatchlogs::Client,
        group: &str,
        prefix: &str,
    ) -> Vec<String> {
        let part = group.rsplit('/').find(|part| !part.is_empty()).unwrap_or(prefix);
        let part: String = part.chars().take(64).collect();
        match client.describe_log_groups().log_group_name_pattern(part).limit(10).send().await {
            Ok(found) => found
                .log_groups()
                .iter()
                .filter_map(|g| g.log_group_name())
                .take(8)
                .map(str::to_owned)
                .collect(),
            Err(_) => Vec::new(),
        }
    }
}

//! Whole runbooks as MCP resources, and their ids completed.

use midwatch_mcp::clip;
use rmcp::{
    ErrorData,
    model::{
        CompleteRequestParams, CompleteResult, CompletionInfo, ListResourceTemplatesResult,
        ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
    },
};

use crate::{
    library::Stock,
    outside::{FIELD, WHOLE, outside},
    shelf::Runbook,
};

/// Resources on one page of a listing.
const PAGE: usize = 200;
/// Where a whole runbook stands; ids hold slashes.
const TEMPLATE: &str = "runbook:///{+id}";
const MARKDOWN: &str = "text/markdown";

/// Runbooks whose ids come after this one.
pub(crate) fn list(stock: &Stock, after: &str) -> ListResourcesResult {
    let mut listed = stock.shelf.runbooks.values().filter(|runbook| runbook.id.as_str() > after);
    let page: Vec<&Runbook> = listed.by_ref().take(PAGE).collect();
    let resource = |runbook: &&Runbook| {
        Resource::new(uri(runbook), &runbook.id)
            .with_title(outside(&runbook.title, FIELD, &runbook.path, &mut Vec::new()))
            .with_mime_type(MARKDOWN)
    };
    let mut result = ListResourcesResult::with_all_items(page.iter().map(resource).collect());
    result.next_cursor = listed.next().and(page.last()).map(|last| last.id.clone());
    result
}

/// The one template, for clients that complete what a person types.
pub(crate) fn templates() -> ListResourceTemplatesResult {
    let whole = ResourceTemplate::new(TEMPLATE, "runbook")
        .with_description("A whole runbook by its id. Ids are completed.")
        .with_mime_type(MARKDOWN);
    ListResourceTemplatesResult::with_all_items(vec![whole])
}

/// Ids that begin with what was typed, then those that hold it: a person knows a part of a name.
pub(crate) fn complete(stock: &Stock, request: &CompleteRequestParams) -> Result<CompleteResult, ErrorData> {
    if request.r#ref.as_resource_uri() != Some(TEMPLATE) || request.argument.name != "id" {
        return Ok(CompleteResult::default());
    }
    let typed = request.argument.value.to_lowercase();
    let holds = |id: &&String| id.to_lowercase().contains(&typed);
    let begins = |id: &&String| id.to_lowercase().starts_with(&typed);
    let (first, then): (Vec<_>, Vec<_>) = stock.shelf.runbooks.keys().filter(holds).partition(begins);
    let all = first.len() + then.len();
    let values = first.into_iter().chain(then).take(CompletionInfo::MAX_VALUES).cloned().collect();
    CompletionInfo::with_pagination(values, u32::try_from(all).ok(), all > CompletionInfo::MAX_VALUES)
        .map(CompleteResult::new)
        .map_err(|error| ErrorData::internal_error(error, None))
}

/// One runbook, as it may leave.
pub(crate) fn read(stock: &Stock, address: String) -> Result<ReadResourceResult, ErrorData> {
    let runbook = stock.shelf.runbooks.values().find(|runbook| uri(runbook) == address).ok_or_else(|| {
        ErrorData::resource_not_found(format!("no runbook at `{}`", clip(&address, 200)), None)
    })?;
    let text = outside(&runbook.text, WHOLE, &runbook.path, &mut Vec::new());
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, address).with_mime_type(MARKDOWN)]))
}

/// The address of a runbook as a resource. Unreserved characters stay, all others are encoded.
fn uri(runbook: &Runbook) -> String {
    let mut uri = "runbook:///".to_owned();
    for byte in runbook.id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push('%');
            uri.extend(
                [byte >> 4, byte & 15]
                    .iter()
                    .filter_map(|d| char::from_digit(u32::from(*d), 16))
                    .map(|c| c.to_ascii_uppercase()),
            );
        }
    }
    uri
}

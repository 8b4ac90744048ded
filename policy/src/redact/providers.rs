//! Keys that are known by the form their provider gave them, and addresses whose path is the secret.

use std::ops::Range;

/// Prefixes that nothing else begins with, each with the letters and the length of what follows.
pub(super) const API_KEY: &str = concat!(
    r"\b(?:",
    // Code, packages and their builds.
    r"gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,}",
    r"|gl(?:pat|ptt|ffct|rt|rtr|dt|ft|soat|cbt|imt|agent|oas)-[A-Za-z0-9_]{20,}(?:\.[A-Za-z0-9_.-]+)?|GR1348941[A-Za-z0-9_-]{20,}",
    r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{40,}|rubygems_[a-f0-9]{48}|dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}",
    r"|AT(?:ATT|CTT|BB)[A-Za-z0-9]{20,}[A-Za-z0-9_=-]*|sq[pua]_[a-f0-9]{40}",
    // Clouds and what runs in them.
    r"|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,}",
    r"|do[opr]_v1_[a-f0-9]{60,}|LTAI[A-Za-z0-9]{16,24}|AKID[A-Za-z0-9]{32}",
    r"|hv[sb]\.[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}|pul-[a-f0-9]{40}",
    r"|dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{30,}|tskey-[a-z]{2,8}-[A-Za-z0-9-]{16,}|dapi[a-f0-9]{32}",
    r"|pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{20,}|sbp_[a-f0-9]{40}|AGE-SECRET-KEY-1[A-Z0-9]{50,}",
    // Watching and alarms.
    r"|gl(?:sa|c)_[A-Za-z0-9_+/=]{30,}|NRAK-[A-Z0-9]{20,}|dt0[a-z][0-9]{2}\.[A-Z0-9]{20,}\.[A-Z0-9]{40,}|sntry[su]_[A-Za-z0-9_+/=-]{30,}",
    // Payments, mail and messages.
    r"|[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{20,}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|sq0(?:atp|csp)-[A-Za-z0-9_-]{20,}",
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"|xox[a-z]-[A-Za-z0-9-]{10,}|xoxe\.xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}",
    // Models and tools.
    r"|hf_[A-Za-z0-9]{30,}|gsk_[A-Za-z0-9]{40,}|xai-[A-Za-z0-9]{40,}|pplx-[A-Za-z0-9]{40,}|r8_[A-Za-z0-9]{37,}",
    r"|PMAK-[a-f0-9-]{30,}|lin_api_[A-Za-z0-9]{30,}|ntn_[A-Za-z0-9]{40,}|figd_[A-Za-z0-9_-]{30,}",
    r")",
);
/// Of each of these what is rare in other texts.
pub(super) const API_KEY_HINT: &str = concat!(
    r"gh[pousr]_|github_pat_|gl[a-z]{2,5}-|GR1348|npm_|pypi-|rubygems_|dckr_|AT(?:ATT|CTT|BB)|sq[pua]_|AIza|ya29\.|GOCSPX|_v1_|LTAI|AKID",
    r"|hv[sb]\.|atlasv1|pul-[a-f0-9]|dp\.(?:pt|st|ct|sa|scim|audit)\.|tskey-|dapi|pscale_|sbp_|AGE-SECRET|gl(?:sa|c)_|NRAK-|dt0[a-z]|sntry[su]_",
    r"|k_live_|k_test_|whsec_|shp(?:at|ca|pa|ss)_|sq0[ac]|SG\.|xox[a-z]|xapp-",
    r"|hf_|gsk_|xai-|pplx-|r8_|PMAK-|lin_api_|ntn_|figd_",
);
/// Prefixes of letters that words have, too: only with letters and digits mixed behind them.
pub(super) const SK_KEY: &str = r"\bsk-(?P<secret>[A-Za-z0-9_-]{20,})";
/// A secret of an application in Entra ID.
pub(super) const ENTRA: &str =
    r"(?:^|[^A-Za-z0-9_~.-])(?P<secret>[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})";
/// A refresh token of Google.
pub(super) const GOOGLE_REFRESH: &str = r"(?:^|[^A-Za-z0-9/])(?P<secret>1//0[A-Za-z0-9_-]{28,})";
/// A bot of Telegram, by itself or in an address.
pub(super) const TELEGRAM: &str = r"(?:\bbot|\b)(?P<secret>[0-9]{6,12}:AA[A-Za-z0-9_-]{30,})";
/// An account of Twilio with its token close behind it.
pub(super) const TWILIO: &str =
    r"\bAC[a-f0-9]{32}[^A-Za-z0-9]{1,8}(?:[A-Za-z_]{1,24}[^A-Za-z0-9]{1,8})?(?P<secret>[a-f0-9]{32})\b";
/// Addresses at which whoever knows them may write: the path is the secret.
pub(super) const WEBHOOK: &str = concat!(
    r"(?i)(?:hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/",
    r"|discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/[0-9]{15,}/",
    r"|\.webhook\.office\.com/webhookb2/|outlook\.office(?:365)?\.com/webhook/",
    r"|hooks\.zapier\.com/hooks/catch/|maker\.ifttt\.com/(?:trigger|use)/(?:[a-z0-9_-]{1,60}/(?:json/)?with/key/)?",
    r"|events\.pagerduty\.com/integration/|alert\.victorops\.com/integrations/generic/[0-9]{1,12}/alert/",
    r"|://[^\s/]{1,200}/hooks/",
    r")(?P<secret>[A-Za-z0-9][A-Za-z0-9%@/_-]{15,})",
);
pub(super) const WEBHOOK_HINT: &str =
    r"(?i)hooks[./]|/webhook|ifttt\.com|pagerduty\.com/integration|victorops\.com";

/// A path that was made by chance: `hooks/pre-receive/2024` and `hooks/deployments/production2024` are names.
pub(super) fn path(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let path = text.get(span.clone())?;
    let digits = |part: &str| part.bytes().filter(u8::is_ascii_digit).count();
    let is_made = |part: &str| {
        let is_mixed = digits(part) > 0 && digits(part) < part.len();
        is_mixed && (part.len() >= 16 || part.len() >= 8 && digits(path) >= 6)
    };
    path.split(|c: char| !c.is_ascii_alphanumeric()).any(is_made).then_some(span)
}

//! What instructions to an agent look like, as patterns over folded text (lower case, no accents).
//!
//! Each pattern needs two things at once (a verb *and* its object, an addressee *and* a demand):
//! single words such as `ignore`, `system` or `override` are ordinary in logs.

use std::{
    ops::Range,
    sync::{LazyLock, OnceLock},
};

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::{
    Mark, MarkKind,
    fold::{self, View},
    tongues,
};

/// Imperatives to drop something, in the languages the corpora use. Not `ignoring` or `ignored`.
const DROP: &str = r"\b(?:ignore[rz]?|disregard|forget|override|bypass|discard|neglect|overlook|supersedes?|stop following|do not follow|don't follow|ignora(?:te|r|d)?|ignoriere?n?|ignorier|vergiss|vergesst|missachte|olvida(?:te)?|olvide|oubliez?|dimentica(?:te)?|esque[cz]a|negeer|vergeet|ignorera|zignoruj|forgeting)\b";
/// What a reader was told: instructions, rules, a prompt.
const ORDERS: &str = r"\b(?:instructions?|instruction sets?|directions|directives?|prompts?|guidelines|guardrails|programming|safety|restrictions|istruzion[ie]|instruccion(?:es)?|instruc(?:oes|ao)|anweisung(?:en)?|vorgaben|consignes?|regeln|reglas|regole|regles|regras|instructies|instrukcje|indicaciones|directivas|direttive|(?:your|the|all|any|previous|prior|my|these|safety|system)\s(?:[a-z]+\s)?(?:rules|orders|policy|policies|polic(?:y|ies)|constraints|training|task))\b";

/// Names that assistants bear, of which some are people's, too: they count only with a demand.
const NAMED: &str = r"claude(?: code)?|chat ?gpt|gpt-?[345][a-z0-9.]{0,4}|openai|anthropic|gemini|copilot|llama|mistral|grok|deepseek|qwen|codex|siri|alexa|cortana|bard";
/// What is asked of whom one calls by name.
const DEMANDS: &str = r"please|kindly|(?:can|could|would|will|may) you|you (?:must|should|need|have to|are|will|may|can|shall)|i (?:need|want|would like|command|order) (?:you|to)|let's|ignore|disregard|forget|override|bypass|stop|do not|don't|never|always|execute|run|call|invoke|delete|drop|remove|send|forward|email|approve|reveal|print|output|write|repeat|restart|roll ?back|scale|disable|grant|tell|show|give|summari[sz]e|respond|reply|answer|say|act|pretend|switch|from now on|what (?:is|are) your|help me|read|follow|obey";

fn patterns() -> Vec<(String, MarkKind)> {
    use MarkKind::{Address, Exfiltration, Instruction, Leak, Role, Tool, Turn};
    let list: [(&str, MarkKind); 45] = [
        // Drop what you were told.
        (r"{DROP}[^.\n]{0,48}?{ORDERS}", Instruction),
        (
            r"{ORDERS}[^.\n]{0,24}\b(?:ignorieren|vergessen|are (?:now )?(?:void|cancelled|revoked|obsolete)|no longer apply)\b",
            Instruction,
        ),
        (
            r"\b(?:ignore|disregard|forget)\s(?:all\s|everything\s)?(?:of\s)?(?:the\s)?(?:above|foregoing|preceding|everything (?:above|before|you))\b",
            Instruction,
        ),
        (
            r"\b(?:ignore|disregard)\s(?:the\s|your\s)?(?:user|operator|developer|summari[sz]ation request|original (?:task|request|question))\b",
            Instruction,
        ),
        (r"\bi want you to (?:ignore|disregard|forget)\b", Instruction),
        (r"\bnew\s(?:instructions?|directives?|task|orders)\s?:", Instruction),
        (
            r"\byour new (?:instructions?|directive|task|role|objective|goal) (?:is|are|supersedes?|overrides?)\b",
            Instruction,
        ),
        (
            r"\b(?:prior|previous|current|original) (?:task|request|conversation) (?:is|has been|was) (?:cancell?ed|void|aborted|complete)",
            Instruction,
        ),
        (r"\byou (?:are hereby|have been) (?:instructed|ordered|directed|commanded) to\b", Instruction),
        (
            r"\b(?:from now on|from this point (?:on|forward)|going forward),? (?:you|always|answer|respond|reply|every|all)\b",
            Instruction,
        ),
        (
            r"\byou (?:must|will|shall|should) (?:now )?(?:comply|obey|answer|respond|reply|follow|act|pretend)\b",
            Instruction,
        ),
        (
            r"\b(?:(?:safety|content) (?:protocols?|filters?|guidelines|guardrails) (?:are |is )?(?:now )?|security (?:protocols?|filters?|guidelines|guardrails) (?:are |is )?now |(?:your|all) security (?:protocols?|filters?|guidelines|guardrails) (?:are |is )?)(?:disabled|off|suspended)\b",
            Instruction,
        ),
        (
            r"\b(?:please )?(?:remember|save|store|persist)\b[^.\n]{0,60}\b(?:for (?:all |every )?future (?:tasks|replies|turns|sessions|conversations)|to (?:your )?(?:long-term |persistent )?memory)\b",
            Instruction,
        ),
        (
            r"\b(?:every|all|each|any) (?:future |subsequent )?(?:reply|replies|response|responses|answer|summary|report) (?:you|to this)\b",
            Instruction,
        ),
        (
            r"\b(?:respond|reply|answer)(?:ing)? (?:only |exactly |always |solely )*(?:with|as|by)\b[^\n]{0,80}",
            Instruction,
        ),
        (
            r"\b(?:decode|decrypt|translate|decipher|unscramble|apply rot13|deobfuscate)\b[^\n]{0,80}\b(?:then|and)\s(?:then\s)?(?:execute|follow|comply|obey|run (?:it|them)|do (?:exactly )?(?:what|as))\b",
            Instruction,
        ),
        (
            r"\b(?:start|begin|end|finish|conclude) (?:your|every|each|the) (?:answer|response|reply|output|report|summary)\b",
            Instruction,
        ),
        (
            r"\b(?:am ende (?:jeder|der) antwort|a la fin de (?:toute|chaque) reponse|al final de (?:cualquier|cada) respuesta|alla fine di ogni risposta|in (?:ogni|cada|jeder|chaque) (?:risposta|respuesta|antwort|reponse))\b",
            Instruction,
        ),
        (
            r"\b(?:when|if|before|after|while) you (?:process|read|summari[sz]e|review|parse|analy[sz]e|see|solve|can solve|do that|respond|answer)\b[^\n]{0,24}",
            Address,
        ),
        (
            r"\bwhen (?:summari[sz]ing|processing|reviewing|reading|analy[sz]ing) this (?:page|document|file|ticket|log|message|text|email|report)\b",
            Address,
        ),
        // Another role, no limits.
        (r"\byou are now (?:in |a |an |the |dan\b|[a-z]+,? (?:which|who|an? (?:ai|assistant)))", Role),
        (
            r"\b(?:developer|god|jailbreak|dan|unrestricted|debug|admin(?:istrator)?|maintenance|sudo) mode\b[^\n]{0,40}\b(?:you|no|ignore|without|unrestricted|enabled?, )\b",
            Role,
        ),
        (
            r"\b(?:enable|enter|activate) (?:developer|god|jailbreak|dan|unrestricted) mode\b|\bmod[oe] (?:desarrollador|developpeur|sviluppatore|desenvolvedor)\b|\bentwicklermodus\b",
            Role,
        ),
        (
            r"\b(?:do anything now|no (?:content |ethical )?restrictions|without (?:any )?(?:restrictions|limits|filters?|limitations)|sin (?:restricciones|filtros?)|senza (?:restrizioni|filtri)|sans (?:restrictions?|filtres?)|ohne (?:einschrankungen|filter))\b",
            Role,
        ),
        (r"\b(?:act|pretend|behave|respond|answer) as (?:if you (?:are|were|have)|though you)\b", Role),
        // Forged turns and delimiters.
        (
            r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)[^>\n]{0,24}\|>|\[/?inst\]|<</?sys>>|<start_of_turn>",
            Turn,
        ),
        (
            r"</?(?:system|untrusted|instructions?|important_instructions|information|tool_result|user_input|assistant|documents?_?(?:end)?)>\s*(?:\n|$|<|[a-z])",
            Turn,
        ),
        (
            r"(?:^|\n)\W{0,6}(?:system|assistant|human)\s?(?:message|note|prompt)?\)?\s?:\s?(?:[a-z]+\s)?(?:you|your|ignore|grant|call|the prior|respond|reply|disregard|delete|cleanup|override|new|please|execute|run)\b",
            Turn,
        ),
        (
            r"#{2,}\s?\(?(?:system_message|end of (?:user )?(?:input|prompt|document|context)|new (?:instructions|task)|system prompt)\)?",
            Turn,
        ),
        (
            r"\[system\]\s?(?:disregard|ignore|output|you|new|override|call|respond)|\bsystem-?(?:hinweis|anweisung)\b|\bnot[ae] (?:systeme|del sistema|di sistema|do sistema)\b",
            Turn,
        ),
        // An assistant addressed by name.
        (
            r"\b(?:(?:dear|hey|hi|hello|yo|attention|attn|important|notice|note|message|instructions?)[ ,:]{1,2}(?:for |to |from me,? [^\n]{0,30})?(?:(?:the|any|all|every|you,?(?: the)?) )?|if you are (?:an? )?|any )(?:ai|ia|ki|llm|llms|a\.i\.|assistant|chatbot|language model|automated (?:agent|reviewer|system))s?\b",
            Address,
        ),
        (
            r"\b(?:ai|llm) (?:assistants?|agents?|models?|systems?|reviewers?|tools?)\b[^.\n]{0,60}\b(?:should|must|shall|reading|processing|reviewing|integrating|please|ignore|need to|are (?:required|instructed))\b|\b(?:to you|you),? the (?:ai )?assistant\b",
            Address,
        ),
        (
            r"\b(?:{NAMED})\s?[,!]\s?(?:{DEMAND})\b|\b(?:claude|chat ?gpt)\s?[:;-]\s(?:{DEMAND})\b|\b(?:hey|hi|hello|yo|ok|okay|dear|listen),? (?:{NAMED})\b[^\n]{0,3}(?:{DEMAND})\b",
            Address,
        ),
        (
            r"\b(?:assistant|chatbot|llm|ai|a\.i\.|ia|ki)(?: ?(?:agent|bot|assistant|model))?\s?[,!]\s?(?:{DEMAND})\b|\b(?:hey|hi|hello|yo|ok|okay|dear|listen),? (?:(?:mr|my|dear) )?(?:assistant|chatbot|agent|bot|robot|ai|llm)\b[^\n]{0,3}(?:{DEMAND})\b",
            Address,
        ),
        (
            r"(?:^|[\n\x22'.!?:]\s?)(?:agent|bot|robot|copilot)\s?,\s?(?:please|kindly|you (?:must|should|need|are|will|may|can)|i (?:need|want) you|ignore|disregard|forget)\b",
            Address,
        ),
        (
            r"\b(?:note|message|instructions?|attention|attn|memo|reminder|hint|warning)[ ,:]{1,2}(?:for |to )?(?:(?:the|all|any|every) )?(?:(?:sre|ops|operations?|on-?call|incident|devops|coding|autonomous|operator|triage|log|support|ai|llm) ){1,3}(?:agents?|bots?|copilots?|assistants?|models?)\b\s?[,:;!-]",
            Address,
        ),
        (
            r"\b(?:as an?|since you are an?|because you are an?|you are an?|being an?) (?:(?:helpful|large|honest|obedient|sre|incident|on-?call|autonomous|coding) ){0,2}(?:ai|llm|language model|chatbot|assistant|ai (?:agent|assistant|model))\b[^.\n]{0,40}\b(?:you|your|must|should|shall|will)\b",
            Address,
        ),
        // Tools and approvals.
        (
            r"\b(?:call|invoke|use|run|execute|trigger) (?:the )?(?:[a-z]+_[a-z_]+|[a-z_]+ (?:tool|function))\b(?:[^\n]{0,40}\b(?:on|with|before|without|now|immediately|for|and|query)\b|\s*(?:\n|$|\())",
            Tool,
        ),
        (
            r"\b(?:(?:user|operator|admin(?:istrator)?|oncall|on-call|engineer|manager|management|sre|team) (?:has|have) (?:already )?(?:pre-?)?(?:approved|authori[sz]ed|consented)|(?:already|pre-?) ?(?:been )?approved|pre-verified by)\b[^\n]{0,60}",
            Tool,
        ),
        (
            r"\b(?:(?:without|skip(?:ping)?|bypass(?:ing)?) (?:(?:further|human|any|the|asking for|need(?:ing)? |waiting for) ?)*(?:approval|confirmation|permission)|no (?:(?:further|human) ?)*(?:approval|confirmation)) ?(?:is )?(?:needed|required|necessary|step|gate|,|\.|$|\n)",
            Tool,
        ),
        // The prompt or the context asked for. `Show your configuration` is what a manual says, too.
        (
            r"\b(?:reveal(?:ing)?|show(?:ing)?|print(?:ing)?|output(?:ting)?|repeat|display|dump|tell|give|expose|disclose|share|write|encode|translate|spell ?check|see|leak|recite|summari[sz]e|revela|rivela|muestra|mostra|montre|revele|zeige|verrate|gib)\b[^.\n]{0,60}\b(?:system ?(?:prompt|message|instructions?)|(?:(?:your|my|his|hidden|secret|original|exact|initial|previous|developer|internal) (?:(?:initial|hidden|secret|exact|original|previous|system|developer|internal) )*|the (?:(?:initial|hidden|secret|exact|original|previous|system|developer|internal) )+)(?:prompt|instructions?|developer message|directives|guidelines)|(?:(?:your|the|its) )?(?:hidden|secret|internal|system) configuration|the prompt|instructions (?:you|above|verbatim)|context window|prompt (?:del|di) sistema|tus instrucciones|tes instructions|deine anweisungen|le tue istruzioni|systemprompt)\b",
            Leak,
        ),
        (
            r"\b(?:what|which) (?:is|are|was|were) (?:in )?(?:(?:your|the) )(?:(?:initial|hidden|secret|exact|original|previous|system|developer|internal|full) )*(?:system prompt|prompt|instructions|guidelines|directives)\b[^\n]{0,40}\?|\b(?:what|which) (?:instructions|rules|guidelines) (?:were|are|have|did) you\b",
            Leak,
        ),
        (
            r"\b(?:my|your) (?:(?:system|initial|hidden|secret|original) )*(?:instructions|prompt) (?:is|are)\s?:|\bthe system prompt (?:is|was|reads|says)\s?:|\b(?:console\.log|print|echo|return|alert)\s?\(\s?[`\x22']?(?:system_?prompt|instructions)[`\x22']?\s?\)",
            Leak,
        ),
        // Data sent elsewhere.
        (
            r"(?:^\s?|[.!]\s|\b(?:also|then|please|and|instead|now|must|should|et|y|und|e)\s)(?:send|forward|email|e-mail|post the|post all|upload|transmit|exfiltrate|leak|envia|envie|envoie[sz]?|invia|sende|schicke)\b[^\n]{0,80}\b(?:customers?|clients?|clientes|clienti|kunden|users?|passwords?|credentials?|secrets?|passport|account numbers?|all (?:messages|data|files|orders|order data)|messages|api keys?|tokens?|database|data|security code)\b[^\n]{0,60}(?:\bto\b|@|\bexternal(?:ly)?\b|https?:)",
            Exfiltration,
        ),
        (
            r"(?:[\x22'(]|\btodo\s?:|\btask\s?:)\s?(?:please )?(?:send|forward|email|e-mail|upload|transmit|exfiltrate|leak|transfer)\b[^\n]{0,80}\b(?:customer (?:list|data|records)|passwords?|credentials?|secrets|passport|account numbers?|api keys?|access keys?|private keys?|security code|ssn|credit cards?)\b[^\n]{0,60}(?:\bto\b|@|\bexternal(?:ly)?\b|https?:)",
            Exfiltration,
        ),
    ];
    list.into_iter()
        .chain(tongues::PATTERNS)
        .map(|(pattern, kind)| {
            let whole = [("{DROP}", DROP), ("{ORDERS}", ORDERS), ("{NAMED}", NAMED), ("{DEMAND}", DEMANDS)]
                .iter()
                .fold(pattern.to_owned(), |pattern, (name, part)| pattern.replace(name, part));
            (fold::as_read(&whole), kind)
        })
        .collect()
}

/// Letters that were all spaced out have no word boundaries left.
static RUN_TOGETHER: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?:ignore|disregard|forget|override)(?:all|any|the|your|of|my){0,3}(?:previous|prior|above|earlier|safety|system)?(?:instructions|rules|prompt|directives|guidelines)",
    )
});

/// Said in disguise, only what no ordinary line says backwards or in rot13 is looked for.
const STRONG: usize = 6;

struct Compiled {
    which: RegexSet,
    each: Vec<(String, OnceLock<Regex>, MarkKind)>,
}

static COMPILED: LazyLock<Compiled> = LazyLock::new(|| {
    let list = patterns();
    Compiled {
        which: compile_set(list.iter().map(|(pattern, _)| pattern.as_str())),
        each: list.into_iter().map(|(pattern, kind)| (pattern, OnceLock::new(), kind)).collect(),
    }
});
static STRONGEST: LazyLock<RegexSet> =
    LazyLock::new(|| compile_set(patterns().iter().take(STRONG).map(|(pattern, _)| pattern.as_str())));
/// `\x1b[8m`, `\033]8;;` and the like, written out: harmless here, meant for a terminal later.
static WRITTEN_ESCAPE: LazyLock<Regex> =
    LazyLock::new(|| compile(r"\\(?:x1b|033|e|u001b)(?:\[[0-9;?]*[A-Za-z]|\])"));

#[expect(clippy::expect_used, reason = "constant patterns; the tests compile every one")]
pub(super) fn compile(pattern: &str) -> Regex {
    RegexBuilder::new(pattern).unicode(false).build().expect("pattern compiles")
}

#[expect(clippy::expect_used, reason = "constant patterns; the tests compile every one")]
fn compile_set<'a>(patterns: impl Iterator<Item = &'a str>) -> RegexSet {
    RegexSetBuilder::new(patterns).unicode(false).build().expect("patterns compile")
}

/// Marks everything that matches; `as_kind` replaces the kinds.
pub(super) fn find(view: &View, as_kind: Option<MarkKind>, marks: &mut Vec<Mark>) {
    for index in COMPILED.which.matches(view.text.as_bytes()) {
        let Some((pattern, compiled, kind)) = COMPILED.each.get(index) else { continue };
        let compiled = compiled.get_or_init(|| compile(pattern));
        for found in compiled.find_iter(view.text.as_bytes()) {
            if matches!(kind, MarkKind::Tool | MarkKind::Leak) && is_report(&view.text, found.range()) {
                continue;
            }
            let (start, end) = view.original(found.start(), found.end());
            marks.push(Mark { kind: as_kind.unwrap_or(*kind), start, end });
        }
    }
}

/// What came of a call, behind it: who says so demands nothing.
static OUTCOME: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"\b(?:(?:has |have |was |were )?(?:failed|timed out|returned|succeeded|completed|refused|denied|rejected|aborted|took|threw|retried|skipped)|fails)\b",
    )
});
/// What was not done, before what it was: `cannot display your configuration`.
static UNDONE: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"\b(?:can ?not|can't|could ?n[o']t|unable to|failed to|did not|didn't|failure to|error while) (?:[a-z]+ly )?$",
    )
});

/// Whom it may concern, or that it is to be done: then an outcome beside it changes nothing.
static DEMAND: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"\b(?:please|you|your|now|immediately|must|should|without|approv[a-z]+|authori[sz][a-z]+)\b")
});

/// Whether what looks like a demand tells of something that was done, or could not be.
fn is_report(text: &str, at: Range<usize>) -> bool {
    let (before, rest) = text.split_at_checked(at.start).unwrap_or((text, ""));
    let shown = at.end - at.start;
    let end =
        rest.get(shown..).and_then(|rest| rest.find(['\n', '.', ';'])).map_or(rest.len(), |n| shown + n);
    let sentence = rest.get(..end).unwrap_or_default().as_bytes();
    UNDONE.is_match(before.as_bytes()) || OUTCOME.is_match(sentence) && !DEMAND.is_match(sentence)
}

/// Marks the whole view as disguised where one of the strongest patterns matches.
pub(super) fn find_strong(view: &View, marks: &mut Vec<Mark>) {
    if STRONGEST.is_match(view.text.as_bytes()) {
        find(view, Some(MarkKind::Disguised), marks);
    }
    if let Some(found) = RUN_TOGETHER.find(view.text.as_bytes()) {
        let (start, end) = view.original(found.start(), found.end());
        marks.push(Mark { kind: MarkKind::Disguised, start, end });
    }
}

/// Terminal sequences that are written out as text.
pub(super) fn find_written_escape(text: &str, marks: &mut Vec<Mark>) {
    if let Some(found) = WRITTEN_ESCAPE.find(text.as_bytes()) {
        marks.push(Mark { kind: MarkKind::Hidden, start: found.start(), end: found.end() });
    }
}

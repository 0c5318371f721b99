//! What is wrong with a document, in our words.

use serde_saphyr::granit_parser::ErrorKind;

use super::Limits;

pub(super) const SECOND_DOCUMENT: &str = "a second document begins here; a configuration is one document";
pub(super) const INSIDE_ITSELF: &str = "this alias stands inside of what it repeats";
pub(super) const MERGES_NO_MAP: &str = "`<<` merges a map, or a list of maps, and this is neither";
pub(super) const NOT_ITS_TAG: &str = "this value does not fit its tag";

pub(super) fn too_deep(limits: &Limits) -> String {
    format!(
        "this is nested too deeply: at most {} levels are taken",
        limits.depth
    )
}

pub(super) fn too_many(limits: &Limits) -> String {
    format!(
        "the document is too big here: at most {} values and keys are taken",
        limits.nodes
    )
}

pub(super) fn too_tangled(limits: &Limits) -> String {
    format!(
        "anchors and aliases repeat too much here: at most {} aliases, and {} values and keys in all, are taken",
        limits.aliases, limits.nodes
    )
}

/// What the parser stumbled over.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest are directives and tags that nobody writes in a configuration"
)]
pub(super) fn syntax(kind: &ErrorKind, limits: &Limits) -> String {
    use ErrorKind as K;
    let reason = match kind {
        K::RecursionLimitExceeded => return too_deep(limits),
        K::UnclosedFlowCollection { open } => return format!("this {open:?} is not closed"),
        K::MismatchedFlowCollectionEnd { open, close } => {
            return format!("this {open:?} is closed by {close:?}");
        }
        K::UnexpectedCharacter { character } => {
            return format!("a value can't begin with {character:?}; put it in quotes");
        }
        K::TabNotAllowed
        | K::TabInBlockIndentation
        | K::TabInIndentation
        | K::TabAtBlockScalarStart
        | K::TabInPlainScalar => "there is a tab here; YAML is indented with blanks",
        K::UnexpectedEofFlowSequence => "this list in brackets is not closed",
        K::UnexpectedEofFlowMapping | K::UnexpectedEofImplicitFlowMapping => {
            "this map in braces is not closed"
        }
        K::UnexpectedEofBlockSequence | K::UnexpectedEofBlockMapping | K::UnexpectedEof => {
            "the document ends in the middle"
        }
        K::ExpectedFlowSequenceSeparator => "expected a comma or `]` here",
        K::ExpectedFlowMappingSeparator => "expected a comma or `}` here",
        K::MisplacedFlowCollectionEnd => "nothing is open that this would close",
        K::ExpectedBlockMappingKey | K::ExpectedBlockSequenceEntry | K::InvalidIndentation => {
            "this line is indented in another way than its neighbours"
        }
        K::SimpleKeyExpected | K::InvalidSimpleKey => {
            "expected `key: value` here; is a colon missing, or a line indented too little?"
        }
        K::MappingValueNotAllowed | K::InvalidColonPlacement => {
            "a `:` can't stand here; is a line indented too far, something not closed, or a value with a colon not in quotes?"
        }
        K::MappingKeyNotAllowed => "a key can't stand here",
        K::BlockSequenceEntryNotAllowed | K::BlockEntryInFlowCollection | K::InvalidBlockEntryWhitespace => {
            "a list entry can't begin here; put `-` on a line of its own"
        }
        K::UnclosedQuotedScalar | K::DocumentIndicatorInQuotedScalar => "this quote is not closed",
        K::InvalidTrailingSingleQuotedScalar | K::InvalidTrailingDoubleQuotedScalar => {
            "something follows the closing quote"
        }
        K::InvalidQuotedScalarIndent | K::InvalidFlowScalarIndent => {
            "this goes on with the value above, but is indented too little; is a closing quote missing?"
        }
        K::UnknownQuotedScalarEscape
        | K::InvalidQuotedScalarHexEscape
        | K::InvalidLowSurrogateHexEscape
        | K::InvalidLowSurrogate
        | K::MissingLowSurrogate
        | K::UnpairedLowSurrogate
        | K::InvalidUnicodeEscape => {
            "an escape in these quotes means nothing; write a backslash twice, or use single quotes"
        }
        K::ZeroBlockScalarIndent | K::InvalidBlockScalarHeader | K::InvalidBlockScalarIndent => {
            "the block text behind `|` or `>` is not indented as it says"
        }
        K::MissingAnchorOrAliasName => "`&` and `*` go with a name; put a value that begins so in quotes",
        K::UndeclaredTagHandle
        | K::ExpectedTagBang
        | K::InvalidTagTerminator
        | K::MissingTagUri
        | K::UnclosedVerbatimTag => "this is not a tag; put a value that begins with `!` in quotes",
        K::CommentNotSeparated => "a comment needs a blank before its `#`",
        K::CommentInterceptedScalar => "a comment interrupts this value",
        K::InvalidDocumentEnd | K::MissingDocumentEndBeforeDirective | K::ExpectedDocumentStart => {
            "something follows the end of the document"
        }
        K::MultipleDocumentsUnsupported => SECOND_DOCUMENT,
        K::UnknownAnchor => "this alias names an anchor that is not defined above it",
        K::PlainScalarStartsWithDashFlowIndicator => "a `-` with nothing behind it; put it in quotes",
        K::BomInsideDocument => "a byte order mark can only begin the document",
        _ => "this is not YAML; look for quotes, colons and the indentation here",
    };
    reason.to_owned()
}

/// What is wrong with one field of an input: shown to the caller, so it never quotes a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where: a path like `secrets[2].key`.
    pub path: String,
    /// What, and what to do.
    pub message: String,
}

impl Violation {
    /// A violation at a path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

//! What an input names and isn't there: collected, so that one answer tells all of it.

use strongroom_domain::Violation;

use super::AppError;

/// So many are told in one answer, as of what is wrong with a manifest.
const MOST: usize = 100;

/// What was found to be missing so far.
#[derive(Default)]
pub(crate) struct Missing(Vec<Violation>);

impl Missing {
    /// What was looked for; `None` when it is missing, which is noted.
    pub(crate) fn note<T>(&mut self, found: Result<T, AppError>) -> Result<Option<T>, AppError> {
        match found {
            Err(AppError::MissingReference(missing)) => {
                self.0.extend(missing);
                self.0.truncate(MOST);
                Ok(None)
            }
            found => found.map(Some),
        }
    }

    /// 404 when anything is missing.
    pub(crate) fn none(self) -> Result<(), AppError> {
        if self.0.is_empty() { Ok(()) } else { Err(AppError::MissingReference(self.0)) }
    }
}

//! Query parameters.

use strongroom_domain::Timestamp;

use crate::app::AppError;

/// The largest page.
const LARGEST_PAGE: i64 = 1_000;
const USUAL_PAGE: i64 = 100;

/// The parameters of a query, decoded.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let decode = |text: &str| decode(text);
        Self(
            query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    /// A parameter that says something; an empty one says nothing.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(found, value)| found == name && !value.is_empty()).map(|(_, value)| value.clone())
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<String, AppError> {
        self.text(name).ok_or_else(|| AppError::invalid(format!("query.{name}"), "is required"))
    }

    /// A list: the name repeated, or commas, or both.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(found, _)| found == name).flat_map(|(_, value)| value.split(','));
        values.map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// `true` or `false`; absent is false.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, AppError> {
        match self.text(name).as_deref() {
            None | Some("false" | "False" | "0") => Ok(false),
            Some("true" | "True" | "1") => Ok(true),
            Some(_) => Err(AppError::invalid(format!("query.{name}"), "must be `true` or `false`")),
        }
    }

    /// A time, or a date.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, AppError> {
        let parse = |text: String| {
            Timestamp::parse(&text)
                .ok_or_else(|| AppError::invalid(format!("query.{name}"), "must be an ISO 8601 time or a date"))
        };
        self.text(name).map(parse).transpose()
    }

    /// How many at most.
    pub(crate) fn limit(&self) -> Result<i64, AppError> {
        limit("query.limit", self.number("limit")?)
    }

    /// How many to skip.
    pub(crate) fn offset(&self) -> Result<i64, AppError> {
        offset("query.offset", self.number("offset")?)
    }

    fn number(&self, name: &str) -> Result<Option<i64>, AppError> {
        let parse = |text: String| {
            text.parse().map_err(|_| AppError::invalid(format!("query.{name}"), "must be a whole number"))
        };
        self.text(name).map(parse).transpose()
    }
}

/// Checks the length of a page.
pub(crate) fn limit(path: &str, given: Option<i64>) -> Result<i64, AppError> {
    match given.unwrap_or(USUAL_PAGE) {
        limit @ 1..=LARGEST_PAGE => Ok(limit),
        _ => Err(AppError::invalid(path, format!("must be from 1 to {LARGEST_PAGE}"))),
    }
}

/// Checks where a page begins.
pub(crate) fn offset(path: &str, given: Option<i64>) -> Result<i64, AppError> {
    match given.unwrap_or(0) {
        offset @ 0.. => Ok(offset),
        _ => Err(AppError::invalid(path, "must be 0 or more")),
    }
}

/// Percent-decoding; what is no UTF-8 afterwards matches nothing, but is no error.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |offset: usize| bytes.get(at + offset).and_then(|digit| char::from(*digit).to_digit(16));
        match (bytes[at], hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
                continue;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_come_repeated_or_with_commas() {
        assert_eq!(Query::parse("a=1&a=2,3&b=4").list("a"), ["1", "2", "3"]);
        assert_eq!(Query::parse("a=1%2C2").list("a"), ["1", "2"]);
    }

    #[test]
    fn pages_have_bounds() {
        let limit = |query: &str| Query::parse(query).limit().ok();
        assert_eq!((limit(""), limit("limit=1"), limit("limit=1000")), (Some(100), Some(1), Some(1000)));
        for bad in
            ["limit=0", "limit=-1", "limit=1001", "limit=1000000000000000000", "limit=99999999999999999999", "limit=x"]
        {
            assert_eq!(limit(bad), None, "{bad}");
        }
        assert!(Query::parse("offset=-1").offset().is_err());
        assert_eq!(Query::parse("offset=1000000000000000000").offset().ok(), Some(1_000_000_000_000_000_000));
    }

    #[test]
    fn decodes() {
        assert_eq!(
            Query::parse("ref=tfy-secret%3A%2F%2Fa:b%3AK+x&z=%&y=%zz").text("ref").as_deref(),
            Some("tfy-secret://a:b:K x")
        );
        assert_eq!(Query::parse("z=%4").text("z").as_deref(), Some("%4"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let query = Query::parse(&text);
            let _ = (query.limit(), query.list("a"));
        }
    }
}

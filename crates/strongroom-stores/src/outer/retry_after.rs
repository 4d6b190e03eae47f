//! The header `Retry-After`.

use std::time::Duration;

use http::{HeaderMap, header};

/// The seconds that it gives. The other form, a date, isn't used by the stores that we speak with, and a clock that
/// differs from theirs would make nonsense of it.
pub(super) fn seconds(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    // `parse` would take a sign.
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_seconds_are_read() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, http::HeaderValue::from_static(text));
            seconds(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(of("7"), Some(7));
        assert_eq!(of(" 0 "), Some(0));
        assert_eq!(of("99999999999999999999999"), Some(u64::from(u32::MAX)));
        for bad in ["", "-1", "+1", "1.5", "soon", "Tue, 24 Nov 2026 11:00:00 GMT"] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(seconds(&HeaderMap::new()), None);
    }
}

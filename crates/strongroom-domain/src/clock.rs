use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time: microseconds since 1970-01-01 UTC, the unit of every time in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This time moved by a number of seconds (negative: into the past), saturating.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// This time moved by a number of days of 24 hours, saturating.
    #[must_use]
    pub const fn plus_days(self, days: u32) -> Self {
        self.plus_seconds(days as i64 * 86_400)
    }

    /// The wire form: ISO 8601 in UTC with milliseconds, e.g. `2026-11-23T08:00:00.000Z`.
    #[must_use]
    pub fn to_wire(self) -> String {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).ok();
        let Some((at, year)) = at.and_then(|at| Some((at, u16::try_from(at.year()).ok()?))) else {
            return String::from("9999-12-31T23:59:59.999Z");
        };
        // By hand: an answer has several times, and a formatter that reads a pattern took longer than decrypting.
        let mut out = *b"0000-00-00T00:00:00.000Z";
        put_digits(&mut out[0..4], year);
        put_digits(&mut out[5..7], u8::from(at.month()).into());
        put_digits(&mut out[8..10], at.day().into());
        put_digits(&mut out[11..13], at.hour().into());
        put_digits(&mut out[14..16], at.minute().into());
        put_digits(&mut out[17..19], at.second().into());
        put_digits(&mut out[20..23], at.millisecond());
        out.iter().copied().map(char::from).collect()
    }

    /// Reads an ISO 8601 time with an offset, or a plain date (`2026-11-23`, midnight UTC).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339)
            .or_else(|_| OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339))
            .ok()?;
        i64::try_from(at.unix_timestamp_nanos() / 1_000).ok().map(Self)
    }
}

/// A day, in UTC, as `yyyy-mm-dd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Timestamp);

impl Day {
    /// Reads `yyyy-mm-dd` and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Timestamp::parse(text).map(Self).filter(|day| day.to_string() == text)
    }

    /// Its first moment.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        self.0
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_wire()[..10])
    }
}

fn put_digits(out: &mut [u8], mut number: u16) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789"[usize::from(number % 10)];
        number /= 10;
    }
}

/// Where times come from; a parameter everywhere, so that tests can set the time.
pub trait Clock: Send + Sync {
    /// The present.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the system's time enters")]
    fn now(&self) -> Timestamp {
        // A clock before 1970 or after the year 294,000 is taken as the nearest time that can be written down.
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        Timestamp(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_form_has_milliseconds_and_z() {
        assert_eq!(Timestamp::from_micros(1_763_884_800_123_456).to_wire(), "2025-11-23T08:00:00.123Z");
        assert_eq!(Timestamp::from_micros(951_782_399_999_999).to_wire(), "2000-02-28T23:59:59.999Z");
        assert_eq!(Timestamp::from_micros(951_782_400_000_000).to_wire(), "2000-02-29T00:00:00.000Z");
        assert_eq!(Timestamp::from_micros(-1).to_wire(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_micros(i64::MAX).to_wire(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn parses_times_and_dates_and_refuses_the_rest() {
        assert_eq!(Timestamp::parse("1970-01-01T00:00:01Z"), Some(Timestamp::from_micros(1_000_000)));
        assert_eq!(Timestamp::parse("1970-01-01T01:00:00+01:00"), Some(Timestamp::from_micros(0)));
        assert_eq!(Timestamp::parse("1970-01-02"), Some(Timestamp::from_micros(86_400_000_000)));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn days_have_one_spelling() {
        let day = Day::parse("1970-01-02").unwrap();
        assert_eq!((day.start(), day.to_string().as_str()), (Timestamp::from_micros(86_400_000_000), "1970-01-02"));
        for bad in ["", "1970-1-2", "1970-02-30", "1970-01-02T00:00:00Z", "02.01.1970", "1970-01-02 "] {
            assert_eq!(Day::parse(bad), None, "{bad}");
        }
    }
}

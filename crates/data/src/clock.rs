//! Points in time as text, in UTC: RFC 3339 for programs, minutes for people. Both binaries tell and log; nothing here reads a clock, and none is in a
//! model file, nor in what decides one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time in UTC.
#[derive(Clone, Copy, Debug)]
pub struct Utc {
    date: [u64; 3],
    seconds: u64,
    millis: u32,
}

impl Utc {
    /// `time` in UTC; what lies before 1970 is taken for its beginning, what lies beyond the year 9999 for its end.
    pub fn of(time: SystemTime) -> Self {
        const LAST: u64 = 253_402_300_799;
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).min(Duration::from_secs(LAST));
        let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        Self { date: date(days), seconds, millis: since.subsec_millis() }
    }

    /// `2026-11-23T00:14:17.250Z`.
    pub fn rfc3339(&self) -> String {
        let [year, month, day] = self.date;
        let (hour, minute, second) = (self.seconds / 3600, self.seconds / 60 % 60, self.seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", self.millis)
    }

    /// `2026-11-23 00:14`.
    pub fn minutes(&self) -> String {
        self.rfc3339()[..16].replace('T', " ")
    }
}

/// Year, month and day of the `days`th day after 1970-01-01, in years that begin in March, so that the leap day is the last (Hinnant,
/// "chrono-compatible low-level date algorithms", civil_from_days).
fn date(days: u64) -> [u64; 3] {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    [year_of_era + era * 400 + u64::from(month <= 2), month, day]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leap_days_and_the_ends_of_years_have_their_dates() {
        let at = |seconds: u64| Utc::of(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 250)).rfc3339();
        assert_eq!(at(0), "1970-01-01T00:00:00.250Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.250Z");
        assert_eq!(at(1_735_689_599), "2024-12-31T23:59:59.250Z");
        assert_eq!(at(1_795_392_857), "2026-11-23T00:14:17.250Z");
        assert_eq!(Utc::of(UNIX_EPOCH - Duration::from_secs(9)).minutes(), "1970-01-01 00:00");
        assert!(at(u64::MAX / 4000).starts_with("9999-12-31T23:59:59"));
    }
}

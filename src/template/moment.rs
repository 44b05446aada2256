//! `now()`: the present moment, as a value with the parts and methods of Python's `datetime` that playbooks use.
//!
//! Source: Ansible, `_internal/_templating/_jinja_plugins.py`, `_now`.

use super::filters::bad;
use crate::clock;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use minijinja::value::{Kwargs, Object, ObjectRepr, Value};
use minijinja::{Environment, Error, ErrorKind, State};
use std::fmt;
use std::sync::Arc;

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_function("now", now);
}

fn now(utc: Option<bool>, format: Option<String>, options: Kwargs) -> Result<Value, Error> {
    let utc = options.get::<Option<bool>>("utc")?.or(utc).unwrap_or(false);
    let format = options.get::<Option<String>>("fmt")?.or(format);
    options.assert_all_used()?;
    let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
    let nanoseconds = clock::since_epoch().as_nanos();
    let moment = i128::try_from(nanoseconds).ok().map(Timestamp::from_nanosecond);
    let moment = moment.and_then(Result::ok).ok_or_else(|| bad("the clock is wrong"))?;
    let moment = Moment(moment.to_zoned_datetime(zone));
    match format.filter(|format| !format.is_empty()) {
        Some(format) => moment.formatted(&format).map(Value::from),
        None => Ok(Value::from_object(moment)),
    }
}

struct Moment(ZonedDateTime);

impl Moment {
    /// Python's `strftime`; `%f` are microseconds.
    fn formatted(&self, format: &str) -> Result<String, Error> {
        let mut whole = String::with_capacity(format.len() + 2);
        let mut rest = format.chars();
        while let Some(c) = rest.next() {
            whole.push(c);
            if c == '%' {
                match rest.next() {
                    Some('f') => whole.push_str("6f"),
                    Some(directive) => whole.push(directive),
                    None => {}
                }
            }
        }
        strtime::format(&whole, &self.0)
            .map_err(|_| bad(format!("'{format}' is not a format for strftime")))
    }

    fn written(&self, between: char) -> String {
        let microsecond = self.0.subsec_nanosecond() / 1000;
        let fraction = if microsecond == 0 { String::new() } else { format!(".{microsecond:06}") };
        let (date, time) = (self.0.date(), self.0.time());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        format!("{date}{between}{hour:02}:{minute:02}:{second:02}{fraction}")
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written(' '))
    }
}

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written(' '))
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "year" => Value::from(self.0.year()),
            "month" => Value::from(self.0.month()),
            "day" => Value::from(self.0.day()),
            "hour" => Value::from(self.0.hour()),
            "minute" => Value::from(self.0.minute()),
            "second" => Value::from(self.0.second()),
            "microsecond" => Value::from(self.0.subsec_nanosecond() / 1000),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        match (method, arguments) {
            ("strftime", [format]) => self.formatted(&format.to_string()).map(Value::from),
            ("isoformat", []) => Ok(Value::from(self.written('T'))),
            ("timestamp", []) => {
                let microseconds = self.0.timestamp().as_microsecond();
                Ok(Value::from(microseconds as f64 / 1e6))
            }
            ("weekday", []) => Ok(Value::from(self.0.weekday().to_monday_zero_offset())),
            ("isoweekday", []) => Ok(Value::from(self.0.weekday().to_monday_one_offset())),
            _ => Err(Error::new(
                ErrorKind::UnknownMethod,
                "now() has strftime, isoformat, timestamp, weekday and isoweekday",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        Moment(text.parse::<Timestamp>().unwrap().to_zoned_datetime(TimeZone::UTC))
    }

    #[test]
    fn written_as_python_does() {
        assert_eq!(moment("2026-01-02T03:04:05.006Z").written(' '), "2026-01-02 03:04:05.006000");
        assert_eq!(moment("2026-01-02T03:04:05Z").written('T'), "2026-01-02T03:04:05");
    }

    #[test]
    fn formats_of_strftime() {
        let moment = moment("2026-01-02T03:04:05.006Z");
        let format = "%Y%m%dT%H:%M:%S %j %a %b %f %% %%f %s";
        let expected = "20260102T03:04:05 002 Fri Jan 006000 % %f 1767323045";
        assert_eq!(moment.formatted(format).unwrap(), expected);
        assert!(moment.formatted("%Ü").unwrap_err().to_string().contains("is not a format"));
    }
}

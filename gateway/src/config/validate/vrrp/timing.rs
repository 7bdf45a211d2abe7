//! When a virtual router speaks and takes over, and its password.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::{Context, DAY, HOUR, SECOND, login, number};
use crate::config::defaults::{self, OFF};
use crate::config::file;
use crate::config::model::{Garp, VrrpPassword, VrrpVersion};
use crate::config::values::{self, Fault};

/// A step of version 3, which has 12 bits for them.
const STEP: Duration = Duration::from_millis(10);
const VERSION_3: RangeInclusive<Duration> = STEP..=Duration::from_millis(40_950);
/// Version 2 has an octet for seconds.
const VERSION_2: RangeInclusive<Duration> = SECOND..=Duration::from_secs(255);
const UP_TO_AN_HOUR: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
/// So much of a password counts (RFC 2338, section 5.3.10).
const PASSWORD_BYTES: usize = 8;

pub(super) fn interval(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::VirtualRouter,
    version: VrrpVersion,
) -> Duration {
    let (default, range, step, other) = match version {
        VrrpVersion::V2 => {
            (defaults::VRRP_2_INTERVAL, VERSION_2, SECOND, "; version = 3 has shorter ones")
        }
        VrrpVersion::V3 => (defaults::VRRP_INTERVAL, VERSION_3, STEP, ""),
    };
    let Some(text) = &file.advertisement_interval else { return default };
    if context.dropped.contains(&format!("{section}.version")) {
        return default;
    }
    let key = format!("{section}.advertisement_interval");
    let parse = |text: &str| {
        let interval = values::duration(text, &range)
            .map_err(|fault| Fault { advice: format!("{}{other}", fault.advice), ..fault })?;
        let over = interval.as_nanos() % step.as_nanos();
        if over == 0 {
            return Ok(interval);
        }
        let steps = u32::try_from(interval.as_nanos() / step.as_nanos()).unwrap_or(1).max(1);
        let (step, below) = (defaults::text(step), defaults::text(step * steps));
        Err(Fault {
            message: format!("{text:?} is not a number of whole steps, which are of {step} here"),
            advice: format!("write {below:?}{other}"),
        })
    };
    context.take(&key, text, parse).unwrap_or(default)
}

pub(super) fn preempt(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::VirtualRouter,
    priority: u8,
) -> (bool, Duration) {
    let preempt = file.preempt.as_deref().copied().unwrap_or(defaults::VRRP_PREEMPT);
    let (key, default) = (format!("{section}.preempt_delay"), defaults::VRRP_PREEMPT_DELAY);
    let text = file.preempt_delay.as_ref();
    let delay = context.duration(&key, text, UP_TO_AN_HOUR, default);
    if let Some(text) = text.filter(|_| !preempt && delay > Duration::ZERO) {
        let message = format!("{key} has no effect with preempt = false");
        let advice = "remove one of the two".to_owned();
        context.report.warning(text.span(), message, advice);
    }
    if let Some(written) = file.preempt.as_ref().filter(|_| !preempt && priority == 255) {
        let message = format!("{section}.preempt = false has no effect with priority = 255");
        let advice = "an owner of the addresses always has them: remove it, or write a lower \
                      priority";
        context.report.warning(written.span(), message, advice.to_owned());
    }
    (preempt, delay)
}

/// The password of version 2.
pub(super) fn authentication(
    context: &mut Context<'_, '_>,
    section: &str,
    file: &file::VirtualRouter,
    version: VrrpVersion,
) -> Option<VrrpPassword> {
    let (written, path) = (file.authentication.as_ref(), file.authentication_file.as_ref());
    let span = path.map(file::At::span).or_else(|| written.map(file::At::span))?;
    let key = format!("{section}.authentication");
    if written.is_some() && path.is_some() {
        let message = format!("{section} has both authentication and authentication_file");
        context.report.error(span, message, "keep one of the two".to_owned());
        return None;
    }
    if version == VrrpVersion::V3 && !context.dropped.contains(&format!("{section}.version")) {
        let message = format!("{key}: version 3 of VRRP has none");
        let advice = "remove it (keepalived ignores it there, too); to keep strangers out, name the \
                      other gateways in peers; or write version = 2";
        context.report.error(span, message, advice.to_owned());
        return None;
    }
    let password = match (written, path) {
        (Some(password), _) => password.0.as_str().into(),
        (None, path) => login::from_file(context, &format!("{key}_file"), path?)?,
    };
    let bytes = password.as_bytes();
    if bytes.is_empty() {
        let message = format!("{key}: this text is empty");
        context.report.error(span, message, "fill it, or remove the key".to_owned());
        return None;
    }
    if bytes.len() > PASSWORD_BYTES {
        let message = format!("{key} is longer than {PASSWORD_BYTES} bytes");
        let advice = "shorten it: only the first 8 count, here and in keepalived".to_owned();
        context.report.warning(span, message, advice);
    }
    let mut octets = [0; PASSWORD_BYTES];
    octets.iter_mut().zip(bytes).for_each(|(octet, byte)| *octet = *byte);
    Some(VrrpPassword(octets))
}

pub(super) fn garp(
    context: &mut Context<'_, '_>,
    section: &str,
    file: Option<&file::Garp>,
) -> Garp {
    let default = defaults::GARP_DELAY;
    let delay = file.and_then(|file| file.delay.as_ref());
    let delay = context.duration(&format!("{section}.garp.delay"), delay, UP_TO_AN_HOUR, default);
    Garp {
        repeat: number(file.and_then(|file| file.repeat.as_ref()), defaults::GARP_REPEAT),
        delay,
        refresh: refresh(context, section, file),
    }
}

fn refresh(
    context: &mut Context<'_, '_>,
    section: &str,
    file: Option<&file::Garp>,
) -> Option<Duration> {
    let Some(text) = file.and_then(|file| file.refresh.as_ref()) else {
        return Some(defaults::GARP_REFRESH);
    };
    if text.as_str() == OFF {
        return None;
    }
    context.take(&format!("{section}.garp.refresh"), text, |text| {
        values::duration(text, &(SECOND..=DAY)).map_err(|fault| {
            let advice = format!("{}; or \"off\"", fault.advice);
            Fault { advice, ..fault }
        })
    })
}

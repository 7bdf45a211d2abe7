//! What stands in the arguments of each method, and in a content header, in order.

use crate::frame::method::{MethodId, id};

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Octet,
    Short,
    Long,
    LongLong,
    ShortText,
    LongText,
    /// Bits that follow each other share an octet, the first one the lowest.
    Bit,
    Table,
    /// Not to be shown, nor to be read.
    Secret,
}

use Kind::{Bit, Long, LongLong, LongText, Octet, Secret, Short, ShortText, Table};

type Arguments = &'static [(&'static str, Kind)];

/// The properties of a message, from the highest flag down.
pub(super) const PROPERTIES: Arguments = &[
    ("content-type", ShortText),
    ("content-encoding", ShortText),
    ("headers", Table),
    ("delivery-mode", Octet),
    ("priority", Octet),
    ("correlation-id", ShortText),
    ("reply-to", ShortText),
    ("expiration", ShortText),
    ("message-id", ShortText),
    ("timestamp", LongLong),
    ("type", ShortText),
    ("user-id", ShortText),
    ("app-id", ShortText),
    ("cluster-id", ShortText),
];

/// A reserved argument has no name.
const RESERVED: &str = "";

/// The arguments of a method; none of one that is unknown.
pub(super) fn of(id: MethodId) -> Arguments {
    match id >> 16 {
        10 => of_connection(id),
        20 => of_channel(id),
        40 => of_exchange(id),
        50 => of_queue(id),
        60 => of_basic(id),
        85 if id == id::CONFIRM_SELECT => &[("no-wait", Bit)],
        _ => &[],
    }
}

fn of_connection(id: MethodId) -> Arguments {
    match id {
        id::CONNECTION_START => &[
            ("version-major", Octet),
            ("version-minor", Octet),
            ("server-properties", Table),
            ("mechanisms", LongText),
            ("locales", LongText),
        ],
        id::CONNECTION_START_OK | id::CONNECTION_SECURE_OK => &[("response", Secret)],
        id::CONNECTION_SECURE => &[("challenge", Secret)],
        id::CONNECTION_TUNE | id::CONNECTION_TUNE_OK => {
            &[("channel-max", Short), ("frame-max", Long), ("heartbeat", Short)]
        }
        id::CONNECTION_OPEN => &[("virtual-host", ShortText)],
        id::CONNECTION_CLOSE => CLOSE,
        id::CONNECTION_BLOCKED => &[("reason", ShortText)],
        id::CONNECTION_UPDATE_SECRET => &[("new-secret", Secret), ("reason", ShortText)],
        _ => &[],
    }
}

fn of_channel(id: MethodId) -> Arguments {
    match id {
        id::CHANNEL_FLOW | id::CHANNEL_FLOW_OK => &[("active", Bit)],
        id::CHANNEL_CLOSE => CLOSE,
        _ => &[],
    }
}

const CLOSE: Arguments =
    &[("reply-code", Short), ("reply-text", ShortText), ("class-id", Short), ("method-id", Short)];

fn of_exchange(id: MethodId) -> Arguments {
    match id {
        id::EXCHANGE_DECLARE => &[
            (RESERVED, Short),
            ("exchange", ShortText),
            ("type", ShortText),
            ("passive", Bit),
            ("durable", Bit),
            ("auto-delete", Bit),
            ("internal", Bit),
            ("no-wait", Bit),
            ("arguments", Table),
        ],
        id::EXCHANGE_DELETE => {
            &[(RESERVED, Short), ("exchange", ShortText), ("if-unused", Bit), ("no-wait", Bit)]
        }
        id::EXCHANGE_BIND | id::EXCHANGE_UNBIND => &[
            (RESERVED, Short),
            ("destination", ShortText),
            ("source", ShortText),
            ("routing-key", ShortText),
            ("no-wait", Bit),
            ("arguments", Table),
        ],
        _ => &[],
    }
}

fn of_queue(id: MethodId) -> Arguments {
    match id {
        id::QUEUE_DECLARE => &[
            (RESERVED, Short),
            ("queue", ShortText),
            ("passive", Bit),
            ("durable", Bit),
            ("exclusive", Bit),
            ("auto-delete", Bit),
            ("no-wait", Bit),
            ("arguments", Table),
        ],
        id::QUEUE_DECLARE_OK => {
            &[("queue", ShortText), ("message-count", Long), ("consumer-count", Long)]
        }
        id::QUEUE_BIND => &[
            (RESERVED, Short),
            ("queue", ShortText),
            ("exchange", ShortText),
            ("routing-key", ShortText),
            ("no-wait", Bit),
            ("arguments", Table),
        ],
        id::QUEUE_UNBIND => &[
            (RESERVED, Short),
            ("queue", ShortText),
            ("exchange", ShortText),
            ("routing-key", ShortText),
            ("arguments", Table),
        ],
        id::QUEUE_PURGE => &[(RESERVED, Short), ("queue", ShortText), ("no-wait", Bit)],
        id::QUEUE_DELETE => &[
            (RESERVED, Short),
            ("queue", ShortText),
            ("if-unused", Bit),
            ("if-empty", Bit),
            ("no-wait", Bit),
        ],
        id::QUEUE_PURGE_OK | id::QUEUE_DELETE_OK => &[("message-count", Long)],
        _ => &[],
    }
}

fn of_basic(id: MethodId) -> Arguments {
    match id {
        id::BASIC_QOS => &[("prefetch-size", Long), ("prefetch-count", Short), ("global", Bit)],
        id::BASIC_CONSUME => &[
            (RESERVED, Short),
            ("queue", ShortText),
            ("consumer-tag", ShortText),
            ("no-local", Bit),
            ("no-ack", Bit),
            ("exclusive", Bit),
            ("no-wait", Bit),
            ("arguments", Table),
        ],
        id::BASIC_CONSUME_OK | id::BASIC_CANCEL_OK => &[("consumer-tag", ShortText)],
        id::BASIC_CANCEL => &[("consumer-tag", ShortText), ("no-wait", Bit)],
        id::BASIC_PUBLISH => &[
            (RESERVED, Short),
            ("exchange", ShortText),
            ("routing-key", ShortText),
            ("mandatory", Bit),
            ("immediate", Bit),
        ],
        id::BASIC_RETURN => &[
            ("reply-code", Short),
            ("reply-text", ShortText),
            ("exchange", ShortText),
            ("routing-key", ShortText),
        ],
        id::BASIC_DELIVER => &[
            ("consumer-tag", ShortText),
            ("delivery-tag", LongLong),
            ("redelivered", Bit),
            ("exchange", ShortText),
            ("routing-key", ShortText),
        ],
        id::BASIC_GET => &[(RESERVED, Short), ("queue", ShortText), ("no-ack", Bit)],
        id::BASIC_GET_OK => &[
            ("delivery-tag", LongLong),
            ("redelivered", Bit),
            ("exchange", ShortText),
            ("routing-key", ShortText),
            ("message-count", Long),
        ],
        id::BASIC_ACK => &[("delivery-tag", LongLong), ("multiple", Bit)],
        id::BASIC_REJECT => &[("delivery-tag", LongLong), ("requeue", Bit)],
        id::BASIC_RECOVER | id::BASIC_RECOVER_ASYNC => &[("requeue", Bit)],
        id::BASIC_NACK => &[("delivery-tag", LongLong), ("multiple", Bit), ("requeue", Bit)],
        _ => &[],
    }
}

//! Methods by number: class and method as one 32-bit id, their names, and a small index for
//! counting.

/// Class in the high 16 bits, method in the low ones: the first four payload bytes of a method
/// frame.
pub type MethodId = u32;

macro_rules! methods {
    ($($name:ident = $class:literal, $method:literal, $text:literal;)*) => {
        /// Ids of the methods.
        pub mod id {
            $(
                #[doc = $text]
                pub const $name: super::MethodId = ($class << 16) | $method;
            )*
        }

        const TABLE: &[(MethodId, &str)] = &[$((id::$name, $text)),*];
    };
}

methods! {
    CONNECTION_START = 10, 10, "connection.start";
    CONNECTION_START_OK = 10, 11, "connection.start-ok";
    CONNECTION_SECURE = 10, 20, "connection.secure";
    CONNECTION_SECURE_OK = 10, 21, "connection.secure-ok";
    CONNECTION_TUNE = 10, 30, "connection.tune";
    CONNECTION_TUNE_OK = 10, 31, "connection.tune-ok";
    CONNECTION_OPEN = 10, 40, "connection.open";
    CONNECTION_OPEN_OK = 10, 41, "connection.open-ok";
    CONNECTION_CLOSE = 10, 50, "connection.close";
    CONNECTION_CLOSE_OK = 10, 51, "connection.close-ok";
    CONNECTION_BLOCKED = 10, 60, "connection.blocked";
    CONNECTION_UNBLOCKED = 10, 61, "connection.unblocked";
    CONNECTION_UPDATE_SECRET = 10, 70, "connection.update-secret";
    CONNECTION_UPDATE_SECRET_OK = 10, 71, "connection.update-secret-ok";
    CHANNEL_OPEN = 20, 10, "channel.open";
    CHANNEL_OPEN_OK = 20, 11, "channel.open-ok";
    CHANNEL_FLOW = 20, 20, "channel.flow";
    CHANNEL_FLOW_OK = 20, 21, "channel.flow-ok";
    CHANNEL_CLOSE = 20, 40, "channel.close";
    CHANNEL_CLOSE_OK = 20, 41, "channel.close-ok";
    EXCHANGE_DECLARE = 40, 10, "exchange.declare";
    EXCHANGE_DECLARE_OK = 40, 11, "exchange.declare-ok";
    EXCHANGE_DELETE = 40, 20, "exchange.delete";
    EXCHANGE_DELETE_OK = 40, 21, "exchange.delete-ok";
    EXCHANGE_BIND = 40, 30, "exchange.bind";
    EXCHANGE_BIND_OK = 40, 31, "exchange.bind-ok";
    EXCHANGE_UNBIND = 40, 40, "exchange.unbind";
    EXCHANGE_UNBIND_OK = 40, 51, "exchange.unbind-ok";
    QUEUE_DECLARE = 50, 10, "queue.declare";
    QUEUE_DECLARE_OK = 50, 11, "queue.declare-ok";
    QUEUE_BIND = 50, 20, "queue.bind";
    QUEUE_BIND_OK = 50, 21, "queue.bind-ok";
    QUEUE_PURGE = 50, 30, "queue.purge";
    QUEUE_PURGE_OK = 50, 31, "queue.purge-ok";
    QUEUE_DELETE = 50, 40, "queue.delete";
    QUEUE_DELETE_OK = 50, 41, "queue.delete-ok";
    QUEUE_UNBIND = 50, 50, "queue.unbind";
    QUEUE_UNBIND_OK = 50, 51, "queue.unbind-ok";
    BASIC_QOS = 60, 10, "basic.qos";
    BASIC_QOS_OK = 60, 11, "basic.qos-ok";
    BASIC_CONSUME = 60, 20, "basic.consume";
    BASIC_CONSUME_OK = 60, 21, "basic.consume-ok";
    BASIC_CANCEL = 60, 30, "basic.cancel";
    BASIC_CANCEL_OK = 60, 31, "basic.cancel-ok";
    BASIC_PUBLISH = 60, 40, "basic.publish";
    BASIC_RETURN = 60, 50, "basic.return";
    BASIC_DELIVER = 60, 60, "basic.deliver";
    BASIC_GET = 60, 70, "basic.get";
    BASIC_GET_OK = 60, 71, "basic.get-ok";
    BASIC_GET_EMPTY = 60, 72, "basic.get-empty";
    BASIC_ACK = 60, 80, "basic.ack";
    BASIC_REJECT = 60, 90, "basic.reject";
    BASIC_RECOVER_ASYNC = 60, 100, "basic.recover-async";
    BASIC_RECOVER = 60, 110, "basic.recover";
    BASIC_RECOVER_OK = 60, 111, "basic.recover-ok";
    BASIC_NACK = 60, 120, "basic.nack";
    CONFIRM_SELECT = 85, 10, "confirm.select";
    CONFIRM_SELECT_OK = 85, 11, "confirm.select-ok";
    TX_SELECT = 90, 10, "tx.select";
    TX_SELECT_OK = 90, 11, "tx.select-ok";
    TX_COMMIT = 90, 20, "tx.commit";
    TX_COMMIT_OK = 90, 21, "tx.commit-ok";
    TX_ROLLBACK = 90, 30, "tx.rollback";
    TX_ROLLBACK_OK = 90, 31, "tx.rollback-ok";
}

/// The class of all methods on channel 0.
pub const CONNECTION_CLASS: u32 = 10;

/// Index of a method that is not in the table.
pub const OTHER: usize = 0;
/// Index of a content header frame.
pub const CONTENT_HEADER: usize = TABLE.len() + 1;
/// Index of a content body frame.
pub const CONTENT_BODY: usize = TABLE.len() + 2;
/// Index of a heartbeat frame.
pub const HEARTBEAT: usize = TABLE.len() + 3;
/// Number of indices: every frame that a walker passes has one of them.
pub const COUNT: usize = TABLE.len() + 4;

/// The index of a method, for counting: below [`COUNT`], [`OTHER`] if unknown.
#[inline]
#[must_use]
pub fn index(id: MethodId) -> usize {
    let (class, method) = (id >> 16, (id & 0xffff) as usize);
    let row = match class {
        60 => 0,
        10 => 1,
        20 => 2,
        40 => 3,
        50 => 4,
        85 => 5,
        90 => 6,
        _ => return OTHER,
    };
    if method >= METHODS { OTHER } else { INDEX[row][method].into() }
}

/// The name under an index: `basic.publish`, `content-body`, `other`.
#[must_use]
pub fn name(index: usize) -> &'static str {
    match index {
        CONTENT_HEADER => "content-header",
        CONTENT_BODY => "content-body",
        HEARTBEAT => "heartbeat",
        _ => index.checked_sub(1).and_then(|i| TABLE.get(i)).map_or("other", |(_, name)| name),
    }
}

const ROWS: [u32; 7] = [60, 10, 20, 40, 50, 85, 90];
const METHODS: usize = 128;

static INDEX: [[u8; METHODS]; ROWS.len()] = index_table();

const fn index_table() -> [[u8; METHODS]; ROWS.len()] {
    let mut table = [[0; METHODS]; ROWS.len()];
    let mut entry = 0;
    while entry < TABLE.len() {
        let id = TABLE[entry].0;
        let mut row = 0;
        while ROWS[row] != id >> 16 {
            row += 1;
        }
        table[row][(id & 0xffff) as usize] = (entry + 1) as u8;
        entry += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_an_index_of_its_own_and_its_name() {
        for (position, &(id, text)) in TABLE.iter().enumerate() {
            assert_eq!(index(id), position + 1);
            assert_eq!(name(index(id)), text);
        }
    }

    #[test]
    fn unknown_methods_count_as_other() {
        for id in [0, u32::MAX, (60 << 16) | 1, (60 << 16) | 500, (30 << 16) | 10] {
            assert_eq!(index(id), OTHER);
        }
        assert_eq!(name(OTHER), "other");
        assert_eq!(name(HEARTBEAT), "heartbeat");
        assert_eq!(name(COUNT), "other");
    }
}

//! Keys of the language that this build does not have.

use super::{SMALLEST, problems};

#[test]
fn what_belongs_to_a_later_build_is_refused_as_such() {
    let sections =
        ["[limits.batch]\nconnections = 1", "[[limit]]\nper = 'vhost'", "[[route]]\nlimits = 'x'"];
    for section in sections {
        let text = SMALLEST.replace("[listener.amqp]\n", "[listener.other]\n") + section + "\n";
        let found = problems(&text);
        let refused =
            found.iter().filter(|p| p.message.ends_with(": not available in this build")).count();
        assert_eq!(refused, 1, "{section}\n{found:#?}");
        assert!(!found.iter().any(|p| p.message.contains("unknown")), "{section}\n{found:#?}");
    }
}

//! What a virtual router does: a state machine that is told events and the time, and answers with actions.

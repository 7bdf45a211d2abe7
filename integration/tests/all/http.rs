//! The management of a real cluster, through an HTTP listener.

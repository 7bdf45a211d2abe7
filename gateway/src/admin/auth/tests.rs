//! Logins as a whole.

//! What each single mishap costs at worst.

//! omh

//! OpenWrt's message bus.

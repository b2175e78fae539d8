//! OpenWrt's configuration files and their pending changes.

//! Renders events and plans: lines, progress, tables, JSON, metrics.

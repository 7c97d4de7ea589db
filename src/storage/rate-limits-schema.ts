/** The table of rate limits; `migrations/0042_rate_limits.sql` has its meaning. */
export type RateLimitTables = { rate_limits: { key: string; full_ts: number } }

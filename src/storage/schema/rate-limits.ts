/** The table of rate limits: `migrations/0001_engine.sql`. */
export type RateLimitTables = { rate_limits: { key: string; full_ts: number } }

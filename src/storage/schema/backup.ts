/** Restored backups: `migrations/0022_backup.sql`. */
export type BackupTables = {
  restores: { restored_ts: number; lost_after: number; resumed_at: number }
}

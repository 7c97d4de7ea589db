/** Tables of the import from another server: `migrations/0021_import.sql`. */
export type ImportTables = {
  imports: { only_row: boolean; fingerprint: string; started_ts: number; finished_ts: number | null }
  import_steps: ImportStepRow
}

export type ImportStepRow = {
  step: string
  bookmark: string
  is_done: boolean
  rows_read: number
  rows_stored: number
}

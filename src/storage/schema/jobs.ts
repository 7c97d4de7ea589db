/** The table of jobs: `migrations/0013_jobs.sql`. */
export type JobTables = { jobs: JobRow }

export type JobRow = {
  job_nid: number
  kind: string
  key: string
  payload: string
  version: number
  created_ts: number
  due_ts: number
  attempts: number
  leased_by: string | null
  leased_until: number
}

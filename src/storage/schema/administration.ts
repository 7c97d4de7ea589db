/** Tables of what administrators do: `migrations/0018_administration.sql`. */
export type AdministrationTables = { audit_log: AuditRow; tasks: TaskRow }

export type AuditRow = {
  entry_nid: number
  acted_ts: number
  actor: string
  action: string
  target: string | null
  details: string
  address: string | null
}

export type TaskStatus = 'scheduled' | 'active' | 'complete' | 'failed' | 'cancelled'

export type TaskRow = {
  task_id: string
  action: string
  resource_id: string | null
  status: TaskStatus
  created_ts: number
  changed_ts: number
  result: string
  error: string | null
}

import { BackupError } from '../services/backup/backup-format.ts'
import { DataFolderLockedError } from '../storage/engine/data-folder-lock.ts'
import { IncompatibleDatabaseError } from '../storage/engine/migrate.ts'
import { UnfinishedImportError } from '../storage/import/imports.ts'

type SystemError = {
  code?: unknown
  syscall?: unknown
  address?: unknown
  port?: unknown
  path?: unknown
  message: string
}

/** Errors of PostgreSQL that the operator can fix: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const DATABASE_ADVICE: Readonly<Record<string, string>> = {
  '28P01': 'Check the user and password in database.url.',
  '28000': 'Check the user in database.url and pg_hba.conf.',
  '3D000': 'Create it with: createdb --encoding=UTF8 --template=template0 NAME, or correct database.url.',
  '42501': 'Grant its user the privileges on the database, or make it the owner.',
  '53300': 'Lower database.pool_size, or raise max_connections in PostgreSQL.',
  '57P03': 'PostgreSQL is starting up or shutting down. Try again soon.',
}

/** Errors whose messages say what to do. */
const EXPLAINED = [DataFolderLockedError, IncompatibleDatabaseError, UnfinishedImportError, BackupError]

/** Returns one line that explains an error and how to fix it; undefined for an error that the operator cannot fix. */
export function explainError(error: unknown): string | undefined {
  if (EXPLAINED.some((kind) => error instanceof kind)) return (error as Error).message
  if (error instanceof AggregateError) return error.errors.map(explainError).find((line) => line !== undefined)
  if (!(error instanceof Error)) return undefined
  const { code, syscall, address, port, path, message } = error as SystemError
  const advice = DATABASE_ADVICE[String(code)]
  if (advice) return `PostgreSQL refuses: ${message}. ${advice}`
  // 'bind': the supervisor of several processes listens for them.
  if (syscall === 'listen' || syscall === 'bind') return explainListen(String(code), `${address}:${port}`)
  if (syscall === 'connect' || syscall === 'getaddrinfo') {
    return `Cannot reach PostgreSQL: ${message}. Check that it runs and that database.url is right.`
  }
  if (typeof path === 'string' && typeof syscall === 'string') return `Cannot use ${path}: ${message}`
  return undefined
}

function explainListen(code: string, where: string): string {
  if (code === 'EADDRINUSE')
    return `${where} is already in use. Stop the other program, or choose another port in listeners.`
  if (code === 'EACCES')
    return `Not allowed to listen on ${where}. Choose a port above 1023, and use a reverse proxy for 443.`
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `${where} is not an address of this machine. Correct bind in listeners.`
  return `Cannot listen on ${where}: ${code}. Correct listeners.`
}
